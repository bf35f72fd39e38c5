import { GatheredBytes } from "./gathered-bytes.ts";

interface Answer {
  readonly body: AsyncIterable<Uint8Array> | null;
}

/** The body of an answer as UTF-8. Throws a `RangeError` where it is larger: what does not fit is not read. */
export async function readAnswer(response: Answer, bytesMax: number): Promise<string> {
  const gathered = new GatheredBytes();
  for await (const chunk of response.body ?? []) {
    gathered.add(chunk);
    if (gathered.length > bytesMax) throw new RangeError(`the answer is larger than ${bytesMax} bytes`);
  }
  return gathered.take().toString("utf8");
}
