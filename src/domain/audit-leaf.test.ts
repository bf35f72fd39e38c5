import { createHash } from "node:crypto";
import { assert, dictionary, jsonValue, property, string } from "fast-check";
import { expect, test } from "vitest";
import type { AuditEventDraft } from "./audit-event.ts";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import { toRfc3339 } from "../lib/clock.ts";
import { canonicalEvent, leafHash, toEvent } from "./audit-leaf.ts";

const draft: AuditEventDraft = {
  id: "0199d3a0-0000-7000-8000-000000000001",
  time: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  actor: { type: "agent", id: "a-1", name: "claude", ip: "10.0.0.1", onBehalfOf: { name: "Ann", id: "m-1" } },
  action: "tool.call",
  resource: { type: "server", name: "github", id: "s-1" },
  outcome: "success",
  policies: [{ name: "allow-dev", id: "p-1" }],
  correlationId: "c-1",
  durationMs: 12,
  details: { tool: "create_issue", arguments: { b: 1, a: [{ d: 1, c: 2 }] } },
};

test("hashes 0x00 and the canonical form of the exported event", () => {
  const event = toEvent(draft, 7);
  const { leafHash: recorded, ...rest } = event;
  const exported = { ...rest, time: "2026-01-02T03:04:05.006Z" };
  const expected = createHash("sha256")
    .update(Buffer.concat([Buffer.from([0]), Buffer.from(toCanonicalJson(exported))]))
    .digest("hex");
  expect(recorded).toBe(expected);
  expect(leafHash(event)).toBe(expected);
});

test("depends on every member", () => {
  const original = leafHash({ ...draft, seq: 1 });
  const changes: readonly Partial<AuditEventDraft & { seq: number }>[] = [
    { id: "x" },
    { time: draft.time + 1 },
    { actor: { ...draft.actor, ip: "10.0.0.2" } },
    { actor: { ...draft.actor, client: "c" } },
    { action: "tool.list" },
    { resource: { ...draft.resource, name: "x" } },
    { outcome: "denied" },
    { reason: "policy" },
    { policies: [] },
    { correlationId: "x" },
    { sessionId: "x" },
    { durationMs: 13 },
    { details: { ...draft.details, tool: "x" } },
    { seq: 2 },
  ];
  const hashes = changes.map((change) => leafHash({ ...draft, seq: 1, ...change }));
  expect(new Set([original, ...hashes]).size).toBe(changes.length + 1);
});

test("keeps whole milliseconds", () => {
  expect(toEvent({ ...draft, durationMs: 1.6 }, 1).durationMs).toBe(2);
});

test.each([
  ["a lone surrogate in a value", { text: "a\ud800b" }, { text: "a\ufffdb" }],
  ["a lone surrogate in a name", { "\udc00": 1 }, { "\ufffd": 1 }],
  ["the letters of an escape", { text: "\\ud800" }, { text: "\\ud800" }],
  ["a backslash before a lone surrogate", { text: "\\\ud800" }, { text: "\\\ufffd" }],
  ["a lone surrogate beside a name that cannot be sorted", { "1": "\ud800" }, { "1": "\ufffd" }],
  ["a pair", { text: "\u{1f600}" }, { text: "\u{1f600}" }],
])("keeps a log readable after %s", (_, details, kept) => {
  const event = toEvent({ ...draft, details }, 1);
  expect(event.details).toEqual(kept);
  expect(leafHash(event)).toBe(event.leafHash);
});

test("the leaf of what a store gives back is the recorded leaf", () => {
  const details = JSON.parse(
    '{"big":1e999,"__proto__":{"x":1},"10":1,"9":2,"a":[{"2":1,"10":{}}],"n":null,"toJSON":1}',
  );
  const event = toEvent({ ...draft, details: { ...details, missing: undefined, at: new Date(0), z: -0 } }, 1);
  const { leafHash: recorded, ...rest } = event;
  expect(leafHash(JSON.parse(JSON.stringify(rest)))).toBe(recorded);
});

test("equals RFC 8785 for any details", () => {
  const holds = property(dictionary(string({ unit: "grapheme" }), jsonValue()), (details) => {
    const event = { ...draft, seq: 3, details };
    expect(canonicalEvent(event)).toBe(toCanonicalJson({ ...event, time: toRfc3339(event.time) }));
  });
  assert(holds, { numRuns: 500 });
});
