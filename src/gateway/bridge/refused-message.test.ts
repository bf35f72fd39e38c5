import { expect, test } from "vitest";
import { refusedAnswerIn } from "./refused-message.ts";

const nameless = { id: undefined };
const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

test.each([
  [
    "a letter that is no UTF-8",
    Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"text":"caf\xe9"}}', "latin1"),
    { id: 1 },
  ],
  ["a name twice in its result", '{"result":{"a":1,"a":2},"jsonrpc":"2.0","id":"x"}', { id: "x" }],
  ["too many levels", `{"jsonrpc":"2.0","id":2,"result":${deep(400)}}`, { id: 2 }],
  ["no version", '{"id":3,"result":{}}', { id: 3 }],
  ["no result", '{"jsonrpc":"2.0","id":4}', { id: 4 }],
  ["far too many levels", `{"jsonrpc":"2.0","id":2,"result":${deep(100_000)}}`, nameless],
  ["its id twice", '{"jsonrpc":"2.0","id":1,"id":2,"result":{}}', nameless],
  ["no id", '{"jsonrpc":"2.0","result":{}}', nameless],
  ["an endless id", `{"jsonrpc":"2.0","id":"${"x".repeat(300)}","result":{}}`, nameless],
  ["an end that is missing", '  {"jsonrpc":"2.0","id":1,"result":', nameless],
  ["company in a batch", '[{"jsonrpc":"2.0","id":1,"result":{}}]', nameless],
  ["a question for its client", '{"jsonrpc":"2.0","id":1,"method":"roots/list","params":[]}', nameless],
  ["news", '{"jsonrpc":"2.0","method":"notifications/progress","params":[]}', undefined],
  ["a log in JSON", '{"level":30,"id":null,"error":"late","body":{"jsonrpc":"2.0","id":1}}', undefined],
  ["a log that quotes a message", '[debug] {"jsonrpc":"2.0","id":1,"result":{}}', undefined],
  ["a log with brackets", "[info] listening", undefined],
  ["a list", "[1,2]", undefined],
  ["a text", '"jsonrpc"', undefined],
  ["nothing", "", undefined],
])("tells what a refused message with %s answers", (_, text, answered) => {
  expect(refusedAnswerIn(Buffer.from(text))).toEqual(answered);
});
