import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { LineWriter } from "./line-writer.ts";

test("sends what was let go together at once, and what comes alone with what else its turn brings", async () => {
  const { writer, chunks } = start();
  writer.write(Buffer.from("{}"), undefined);
  writer.write(Buffer.from("[]"), undefined);
  await nextTick();
  expect(chunks).toEqual(["{}\n[]\n"]);
  writer.write(Buffer.from("1"), undefined);
  await nextTick();
  writer.write(Buffer.from("2"), undefined);
  await setImmediate();
  await setImmediate();
  expect(chunks).toEqual(["{}\n[]\n", "1\n2\n"]);
});

test("writes each message on one line, whatever line breaks it has", async () => {
  const { writer, chunks } = start();
  writer.write(Buffer.from('\n{"a":\r\n1}\n'), undefined);
  writer.write(Buffer.from("{\n}"), undefined);
  await setImmediate();
  expect(chunks).toEqual([' {"a":  1} \n{ }\n']);
});

test("counts what waits until it is taken, and says of each message once that it was", async () => {
  const { writer } = start();
  const taken: number[] = [];
  writer.write(Buffer.from("{}"), () => taken.push(1));
  writer.write(Buffer.from("{}"), () => taken.push(2));
  const waiting = writer.waitingBytes;
  await setImmediate();
  await setImmediate();
  expect([waiting, taken, writer.waitingBytes]).toEqual([6, [1, 2], 0]);
});

test("sends what waits before it closes", async () => {
  const { writer, chunks } = start();
  writer.write(Buffer.from("{}"), undefined);
  writer.close();
  await setImmediate();
  expect(chunks).toEqual(["{}\n"]);
});

test("sends nothing of what is dropped, and says that it does not wait any more", async () => {
  const { writer, chunks } = start();
  let takenCount = 0;
  writer.write(Buffer.from("{}"), () => (takenCount += 1));
  writer.drop();
  await setImmediate();
  expect([chunks, takenCount, writer.waitingBytes]).toEqual([[], 1, 0]);
});

function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function start() {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on("data", (chunk: Buffer) => void chunks.push(chunk.toString("utf8")));
  return { writer: new LineWriter(stream, () => undefined), chunks };
}
