interface Answer {
  readonly body: AsyncIterable<Uint8Array> | null;
}

/** The body of an answer as UTF-8. Throws a `RangeError` where it is larger: what does not fit is not read. */
export async function readAnswer(response: Answer, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > bytesMax) throw new RangeError(`the answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
