import { expect, test } from "vitest";
import { show } from "./show.ts";

const ID = "0190aaaa-0000-7000-8000-000000000000";

test("shows who asks for what until when, and no hashes, where calls wait for a person", () => {
  const waiting = {
    id: ID,
    status: "pending",
    agent: { id: ID, name: "builder" },
    member: { id: ID, name: "Ada" },
    server: { id: ID, name: "files" },
    action: "call_tool",
    target: { type: "tool", name: "delete_file" },
    toolDigest: "d1",
    argumentsHash: "h1",
    arguments: { name: "harmless", path: { of: `/srv/${"x".repeat(60)}/end` } },
    policies: [{ id: ID, name: "ask-first" }],
    correlationId: "c1",
    requestedAt: "2026-01-31T08:00:00.000Z",
    expiresAt: "2026-01-31T09:00:00.000Z",
    version: 1,
  };
  const shown = show({ items: [waiting], total: 1 });
  for (const part of ["builder", "files", "delete_file", "ask-first", "T08:00", "T09:00", '"harmless"', "/end"])
    expect(shown).toContain(part);
  expect(shown).not.toMatch(/d1|h1|c1/);
});

test("cuts no detail: what is nested is indented, texts keep their lines", () => {
  const shown = show({
    policy: {
      name: "no-deletes",
      principals: { agents: ["one", "two"], except: { groups: [] } },
      conditions: [{ field: "args.path", operator: "is", value: "v".repeat(60) }],
      owner: { id: ID, name: "Ada" },
      skills: null,
      code: "a();\n  b();\n",
    },
  });
  expect(shown.split("\n")).toEqual([
    "policy:",
    "  name: no-deletes",
    "  principals:",
    "    agents: one, two",
    "    except:",
    "      groups: none",
    "  conditions:",
    "    - field: args.path",
    "      operator: is",
    `      value: ${"v".repeat(60)}`,
    "  owner: Ada",
    "  skills: -",
    "  code:",
    "    a();",
    "      b();",
  ]);
});

test("leaves out a limit that is not there, and keeps tables for rows of one form", () => {
  const servers = [
    { server: { id: ID, name: "memory" } },
    { server: { id: ID, name: "files" }, tools: ["read_*", "list"] },
  ];
  const tools = ["a", "b", "c", "d", "e", "f"];
  expect(show({ agent: { servers: [{ server: "files", tools }] } })).toContain("tools: a, b, c, d, e, f");
  const versions = [
    { version: 1, state: "approved" },
    { version: 2, state: "blocked" },
  ];
  expect(show({ agent: { servers } })).toContain("- server: memory\n    - server: files\n      tools: read_*, list");
  expect(show({ skill: { versions } })).toContain("state     version\n    approved  1\n    blocked   2");
});

test("lists leave digests out, details have them", () => {
  const skill = { name: "one", digest: `sha256:${"a".repeat(64)}` };
  expect(show({ items: [skill] })).toBe("name\none");
  expect(show({ versions: [skill] })).toContain(skill.digest);
  expect(show({ versions: [{ ...skill, digest: "short" }] })).toContain("short");
});

test("rounds what was measured, and nothing else", () => {
  expect(show({ run: { cpuMs: 153.11699999999996, output: 0.30000000000000004 } })).toBe(
    "run:\n  cpuMs: 153.117\n  output: 0.30000000000000004",
  );
});

test("makes hidden characters visible, and stops where values are very deep", () => {
  const deep = JSON.parse(`${'{"a":'.repeat(500)}1${"}".repeat(500)}`);
  const lists = JSON.parse(`${'[{"a":'.repeat(500)}1${"}]".repeat(500)}`);
  expect(show({ lists })).toContain('[{"a":[{"a":');
  expect(show({ deep, "na\u202eme": "te\u200bxt\n\u001b[31mred" })).toMatch(
    /"a":[^]*na\\u\{202e\}me:\n {2}te\\u\{200b\}xt\n {2}\\u\{1b\}\[31mred$/,
  );
});

test("lists make hidden characters in the names of columns visible, and keep each on one line", () => {
  const shown = show({ run: { output: [{ "\u001b[31mkey\nrow": 1 }] } });
  expect(shown).toContain("\\u{1b}[31mkey row");
  expect(shown).not.toContain("\u001b");
});

test("leaves out no id that a skill or an agent chose, and no member that a table would drop", () => {
  expect(show({ run: { output: { id: "cus_42", name: "Ada" } } })).toContain("cus_42");
  expect(show({ run: { output: [{}, { a: null, b: 1 }] } })).toMatch(/- none\n.*- a: -\n.*b: 1/);
});

test("says which version of a skill waits, and that its arguments are not shown or were altered", () => {
  const target = { type: "skill", id: ID, name: "deploy", version: 7 };
  const large = { id: ID, target, argumentsDigest: "d", argumentsBytes: 20_480, requestedAt: "2026-01-31" };
  const masked = { id: ID, target, arguments: { key: "..." }, argumentsAltered: true, requestedAt: "2026-01-31" };
  const shown = show({ items: [large, masked] });
  expect(shown).toContain("deploy v7");
  expect(shown).toContain("(not shown, 20480 bytes)");
  expect(shown).toContain('{"key":"..."} (altered)');
});
