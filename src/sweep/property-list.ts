/**
 * The text under a key of the outermost dictionary of an Apple property list, binary or XML; undefined where there is none. Throws
 * `RangeError` for a list that contradicts itself.
 */
export function textInPropertyList(bytes: Buffer, key: string): string | undefined {
  return bytes.subarray(0, 8).toString("latin1") === "bplist00" ? inBinary(bytes, key) : inXml(bytes, key);
}

function inXml(bytes: Buffer, key: string): string | undefined {
  const text = bytes.toString("utf8");
  const at = text.indexOf(`<key>${key}</key>`);
  return at < 0 ? undefined : /^<key>[^<]*<\/key>\s*<string>([^<]*)<\/string>/.exec(text.slice(at))?.[1];
}

const TRAILER_BYTES = 32;
const DICTIONARY = 0xd;
const ASCII = 0x5;

/** Offsets of objects stand in a table that the trailer names; a dictionary is its keys' numbers, then its values'. */
function inBinary(bytes: Buffer, key: string): string | undefined {
  const trailer = bytes.length - TRAILER_BYTES;
  const offsetBytes = bytes.readUInt8(trailer + 6);
  const referenceBytes = bytes.readUInt8(trailer + 7);
  const top = Number(bytes.readBigUInt64BE(trailer + 16));
  const table = Number(bytes.readBigUInt64BE(trailer + 24));
  const objectAt = (number: number): PlistObject =>
    readObject(bytes, readNumber(bytes, table + number * offsetBytes, offsetBytes));
  const { kind, count, start } = objectAt(top);
  if (kind !== DICTIONARY) return undefined;
  for (let index = 0; index < count; index += 1) {
    const reference = (place: number): number => readNumber(bytes, start + place * referenceBytes, referenceBytes);
    if (asText(bytes, objectAt(reference(index))) === key) return asText(bytes, objectAt(reference(index + count)));
  }
  return undefined;
}

interface PlistObject {
  readonly kind: number;
  readonly count: number;
  readonly start: number;
}

/** The upper half of the first byte is the kind, the lower the count; 15 means that the count follows as a number of its own. */
function readObject(bytes: Buffer, offset: number): PlistObject {
  const marker = bytes.readUInt8(offset);
  const [kind, short] = [marker >> 4, marker & 0xf];
  if (short !== 0xf) return { kind, count: short, start: offset + 1 };
  const size = 1 << (bytes.readUInt8(offset + 1) & 0x3);
  return { kind, count: readNumber(bytes, offset + 2, size), start: offset + 2 + size };
}

function readNumber(bytes: Buffer, offset: number, size: number): number {
  if (size < 1 || size > 6) throw new RangeError("no such size");
  return bytes.readUIntBE(offset, size);
}

function asText(bytes: Buffer, { kind, count, start }: PlistObject): string | undefined {
  return kind === ASCII ? bytes.subarray(start, start + count).toString("latin1") : undefined;
}
