import * as fc from "fast-check";
import { expect, test } from "vitest";
import { RpcRefusal } from "../rpc-refusal.ts";
import { itemsAt, memberOf, membersAt, parseEnvelope, parseUpstreamEnvelope, textAt, valueAt } from "./envelope.ts";

const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"a":[1,{"b":"x"}]}}}';

test("gives the parts of a request with its exact bytes", () => {
  const bytes = Buffer.from(` ${CALL}\n`);
  const envelope = parseEnvelope(bytes);
  if (envelope.kind !== "request") throw new Error("not a request");
  expect(envelope).toMatchObject({ id: 7, idText: "7", method: "tools/call" });
  expect(envelope.bytes).toBe(bytes);
  expect(textAt(bytes, memberOf(envelope.params, "name"))).toBe("echo");
  expect(valueAt(bytes, memberOf(envelope.params, "arguments"))).toEqual({ a: [1, { b: "x" }] });
  expect(membersAt(bytes, memberOf(envelope.params, "arguments")).map((member) => member.name)).toEqual(["a"]);
});

test("tells notifications, results and errors apart", () => {
  expect(parse('{"jsonrpc":"2.0","method":"notifications/initialized"}').kind).toBe("notification");
  expect(parse('{"jsonrpc":"2.0","id":"a","result":{}}')).toMatchObject({ kind: "response", id: "a" });
  expect(parse('{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}')).toMatchObject({
    kind: "response",
    id: null,
  });
});

test.each([
  ["a batch", `[${CALL}]`, -32600],
  ["text that is no JSON", "{", -32700],
  ["an empty body", "", -32700],
  ["trailing bytes", `${CALL}{}`, -32700],
  ["a byte-order mark", `\ufeff${CALL}`, -32600],
  ["no object", '"x"', -32600],
  ["another version", '{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
  ["a repeated envelope name", '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', -32600],
  ["a name repeated through an escape", '{"jsonrpc":"2.0","id":1,"method":"ping","metho\\u0064":"tools/call"}', -32600],
  ["a name repeated deep inside", CALL.replace('{"b":"x"}', '{"b":1,"c":[{"d":1,"d":2}]}'), -32600],
  ["an envelope name in another case", CALL.replace('"method"', '"Method"'), -32600],
  ["a result name in another case beside params", '{"jsonrpc":"2.0","id":1,"params":{},"result":{"Task":{}}}', -32600],
  ["both cases of an envelope name", CALL.replace('"id":7', '"id":7,"ID":8'), -32600],
  ["a params name in another case", CALL.replace('"name"', '"NAME"'), -32600],
  ["a params name with a long s", CALL.replace('"arguments"', '"argument\u017f"'), -32600],
  ["a params name with a Kelvin sign", CALL.replace('"name":', '"tas\u212aId":1,"name":'), -32600],
  ["a lone surrogate in a name", CALL.replace('"b"', '"\\ud800"'), -32600],
  ["a fraction as id", CALL.replace("7", "7.0"), -32600],
  ["an exponent as id", CALL.replace("7", "1e3"), -32600],
  ["null as the id of a request", CALL.replace("7", "null"), -32600],
  ["an id beyond exact integers", CALL.replace("7", "9007199254740993"), -32600],
  ["params that are a list", '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600],
  ["result beside method", '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', -32600],
  ["result beside error", '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', -32600],
  ["neither method nor result", '{"jsonrpc":"2.0","id":1}', -32600],
  ["a result without id", '{"jsonrpc":"2.0","result":{}}', -32600],
  ["too deep nesting", `{"jsonrpc":"2.0","method":"a","params":{"a":${"[".repeat(200)}${"]".repeat(200)}}}`, -32600],
])("refuses %s", (_, text, code) => {
  expect(refusalOf(Buffer.from(text))).toMatchObject({ code, status: 400 });
});

test("refuses invalid UTF-8", () => {
  const bytes = Buffer.concat([Buffer.from(CALL.slice(0, -3)), Buffer.from([0xc0, 0xaf]), Buffer.from('"}}')]);
  expect(refusalOf(bytes)).toMatchObject({ code: -32600 });
});

test("refuses a repeated name among thousands without quadratic time", () => {
  const members = Array.from({ length: 50_000 }, (_, index) => `"k${index}":0`);
  const start = performance.now();
  expect(refusalOf(Buffer.from(`{"a":{${members.join(",")},"k1":1}}`))).toMatchObject({ code: -32600 });
  expect(performance.now() - start).toBeLessThan(2000);
});

test("takes a name in any case where the protocol gives it no meaning", () => {
  expect(
    parse('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"Name":1,"name":2}}}').kind,
  ).toBe("request");
});

test("accepts exactly the JSON that JSON.parse accepts, but for repeated names and depth", () => {
  const text = fc.oneof(
    fc.json({ maxDepth: 5 }),
    fc.json({ maxDepth: 3 }).chain((json) => mutation(json)),
    fc.string({ unit: fc.constantFrom(...Array.from('{}[]",:\\u0123eE+-.tfn alsruDd\t\n\u0001é')) }),
  );
  fc.assert(
    fc.property(text, (params) => {
      const bytes = Buffer.from(`{"jsonrpc":"2.0","id":1,"result":{"v":${params}}}`);
      if (!params.isWellFormed()) return;
      const expected = parsed(`{"jsonrpc":"2.0","id":1,"result":{"v":${params}}}`);
      const refusal = refusalOf(bytes);
      // The first fault counts: a repeated name may come before the place where the grammar breaks.
      if (expected === undefined) expect(refusal?.message).toMatch(/valid JSON|repeats|nested|surrogate/);
      else if (refusal === undefined) expect(parseUpstreamEnvelope(bytes).kind).toBe("response");
      else expect(refusal.message).toMatch(/repeats|nested|surrogate|either/);
    }),
    { numRuns: 5000 },
  );
});

test("finds each repeated name that JSON.parse would drop", () => {
  const name = fc.string({ minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 20 }), (names) => {
      const members = names.map((member) => `${JSON.stringify(member)}:{}`);
      const bytes = Buffer.from(`{"jsonrpc":"2.0","id":1,"result":{"v":{${members.join(",")}}}}`);
      expect(refusalOf(bytes) === undefined).toBe(new Set(names).size === names.length);
    }),
  );
});

test("gives the items of a list where they stand", () => {
  const bytes = Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"tools":[ {"name":"a"} , {"name":"b","x":[1]}]}}');
  const envelope = parseUpstreamEnvelope(bytes);
  if (envelope.kind !== "response") throw new Error("not a response");
  const items = itemsAt(bytes, memberOf(envelope.result, "tools"));
  expect(items.map((item) => textAt(bytes, memberOf(item, "name")))).toEqual(["a", "b"]);
  expect(items.map((item) => bytes.toString("utf8", item.start, item.end))).toEqual([
    '{"name":"a"}',
    '{"name":"b","x":[1]}',
  ]);
});

test.each([
  { id: 1, Result: { a: 1 }, result: {} },
  { id: 1, Method: "sampling/createMessage", result: {} },
  { id: 1, result: { Inputrequests: {} } },
  { id: 1, params: {}, result: { InputRequests: {} } },
  { id: 1, result: { nextſ: 1, NextCursor: "c" } },
  { id: 1, result: { TASKſ: [] } },
  { id: 1, result: { tasK: {} } },
  { method: "notifications/tasks/status", params: { TaskId: "t" } },
  { method: "notifications/resources/updated", params: { URI: "file:///a" } },
])("takes no message of an upstream whose names differ from ours by case alone: %j", (message) => {
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
  expect(() => parseUpstreamEnvelope(bytes)).toThrow(/in another case/);
});

test("takes such names of an upstream where they mean nothing", () => {
  const result = {
    content: [{ Type: "text" }],
    structuredContent: { InputRequests: 1, TaskId: 2 },
    Name: "n",
    Data: 1,
  };
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, result }));
  expect(parseUpstreamEnvelope(bytes).kind).toBe("response");
});

function parse(text: string) {
  return parseEnvelope(Buffer.from(text));
}

function refusalOf(bytes: Buffer): RpcRefusal | undefined {
  try {
    parseEnvelope(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof RpcRefusal) return error;
    throw error;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? null;
  } catch {
    return undefined;
  }
}

/** The text with one character dropped, doubled or exchanged. */
function mutation(json: string): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(Math.max(0, json.length - 1)), fc.constantFrom("", '"', "\\", ",", "}", "]", "0", "-", "e", "."))
    .map(([at, put]) => json.slice(0, at) + put + json.slice(at + 1));
}
