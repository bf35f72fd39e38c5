import type { SkillFile } from "../package/skill-files.ts";
import { decodeText } from "../package/skill-files.ts";
import { type Evidence, type Severity, toExcerpt } from "./evidence.ts";

const LARGE_TEXT_BYTES = 1024 * 1024;
/** More blank lines than this in a row hide what follows from a reader and from a tool that cuts off. */
const BLANK_LINES_MAX = 200;

/** Kinds that a viewer shows: their content is not an instruction. */
const HARMLESS_BINARY = /\.(?:png|jpe?g|gif|webp|ico|woff2?|ttf|otf)$/i;

const MAGIC: readonly { readonly kind: string; readonly bytes: readonly number[] }[] = [
  { kind: "ELF program", bytes: [0x7f, 0x45, 0x4c, 0x46] },
  { kind: "Windows program", bytes: [0x4d, 0x5a] },
  { kind: "Mach-O program", bytes: [0xcf, 0xfa, 0xed, 0xfe] },
  { kind: "Mach-O or Java program", bytes: [0xca, 0xfe, 0xba, 0xbe] },
  { kind: "WebAssembly module", bytes: [0x00, 0x61, 0x73, 0x6d] },
];
const IMAGE_MAGIC: readonly (readonly number[])[] = [
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x47, 0x49, 0x46, 0x38],
  [0x52, 0x49, 0x46, 0x46],
  [0x00, 0x00, 0x01, 0x00],
  [0x77, 0x4f, 0x46],
  [0x00, 0x01, 0x00, 0x00],
  [0x4f, 0x54, 0x54, 0x4f],
];

/** Looks at a file as a whole: programs, binaries that nothing here can read, and text that hides by its size. */
export function scanFile({ path, bytes }: SkillFile): readonly Evidence[] {
  const text = decodeText(bytes);
  if (text === undefined) return scanBinary(path, bytes);
  const large = bytes.length > LARGE_TEXT_BYTES;
  const blank = findBlankRun(text);
  return [
    ...(large
      ? [{ ...whole(path, `${bytes.length} bytes of text`), rule: "large_text", severity: "low" as const }]
      : []),
    ...(blank === undefined ? [] : [blankEvidence(path, blank)]),
  ];
}

function scanBinary(path: string, bytes: Uint8Array): readonly Evidence[] {
  const program = MAGIC.find(({ bytes: magic }) => startsWith(bytes, magic));
  if (program !== undefined) return [{ ...whole(path, program.kind), rule: "program", severity: "high" }];
  const isImage = IMAGE_MAGIC.some((magic) => startsWith(bytes, magic));
  if (HARMLESS_BINARY.test(path) && isImage) return [];
  const severity: Severity = HARMLESS_BINARY.test(path) ? "medium" : "low";
  const excerpt = HARMLESS_BINARY.test(path) ? "the content is not what the name says" : "binary, not analysable";
  return [{ ...whole(path, excerpt), rule: "binary", severity }];
}

function whole(path: string, excerpt: string): Pick<Evidence, "path" | "excerpt"> {
  return { path, excerpt: toExcerpt(excerpt) };
}

function blankEvidence(path: string, line: number): Evidence {
  const excerpt = `more than ${BLANK_LINES_MAX} blank lines before this text`;
  return { rule: "hidden_by_blank_lines", severity: "medium", path, line, excerpt };
}

/** The line of the first text after a long run of blank lines. */
function findBlankRun(text: string): number | undefined {
  let blank = 0;
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") blank += 1;
    else if (blank > BLANK_LINES_MAX) return index + 1;
    else blank = 0;
  }
  return undefined;
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}
