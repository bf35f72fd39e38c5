import type { IncomingMessage } from "node:http";
import { AppError } from "../lib/errors.ts";
import { GatheredBytes } from "../lib/gathered-bytes.ts";
import { parseStrictJson } from "../lib/strict-json.ts";

/** No operation needs more; a skill's files are bounded to less. */
export const BODY_BYTES_MAX = 1_048_576;

/**
 * The JSON of a request; undefined where it has no body. Throws `payload_too_large`, or `invalid_input` for another media type, a
 * content encoding, or text that is not strict JSON.
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  checkMediaType(request);
  return parseStrictJson(bytes);
}

function checkMediaType({ headers }: IncomingMessage): void {
  const [mediaType = ""] = (headers["content-type"] ?? "").split(";");
  if (mediaType.trim().toLowerCase() !== "application/json") {
    throw new AppError("invalid_input", "send the body as `Content-Type: application/json`");
  }
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new AppError("invalid_input", "send the body without a content encoding");
  }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX) throw tooLarge(request);
  const gathered = new GatheredBytes();
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    gathered.add(Buffer.from(chunk));
    if (gathered.length > BODY_BYTES_MAX) throw tooLarge(request);
  }
  return gathered.take();
}

/** The rest is thrown away unread, so that the client, still sending, gets to see the answer. */
function tooLarge(request: IncomingMessage): AppError {
  request.resume();
  return new AppError("payload_too_large", `the body is larger than ${BODY_BYTES_MAX} bytes; send less`);
}
