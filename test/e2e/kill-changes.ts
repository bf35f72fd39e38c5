import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { at, textAt } from "../harness/app.ts";
import { restAll, startServe, type ServeProcess } from "../harness/serve-process.ts";

const OWNER_KEY = `rl_org_${"kill-changes-".repeat(4)}`;
const WRITERS = 6;

/** Kills the process while management changes are written, again and again; requires that rows and events tell the same story. */
export async function killChangesRounds(rounds: number): Promise<{ answered: number; events: number }> {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-kill-changes-"));
  let serving = await startServe({ dataDir, ownerKey: OWNER_KEY });
  const answered = new Set<string>();
  let events = 0;
  try {
    for (let round = 0; round < rounds; round += 1) {
      await writeAndKill(serving, answered, round);
      serving = await startServe({ dataDir, ownerKey: OWNER_KEY });
      events = await expectConsistent(serving, answered);
    }
    return { answered: answered.size, events };
  } finally {
    await serving.kill();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function writeAndKill(serving: ServeProcess, answered: Set<string>, round: number): Promise<void> {
  const before = answered.size;
  const writers = Array.from({ length: WRITERS }, async (_item, writer) => {
    for (let turn = 0; ; turn += 1) await writeOnce(serving, answered, `w${round}-${writer}-${turn}`);
  });
  const ended = Promise.allSettled(writers);
  await expect.poll(() => answered.size, { timeout: 60_000 }).toBeGreaterThan(before + 20);
  await sleep(Math.random() * 400);
  await serving.kill();
  const outcomes = await ended;
  // A writer ends because the connection does; an answer that is a refusal would be a fault of its own.
  expect(
    outcomes.filter(({ status, ...rest }) => status === "rejected" && "reason" in rest && isRefusal(rest.reason)),
  ).toEqual([]);
}

class Refusal extends Error {}

function isRefusal(error: unknown): boolean {
  return error instanceof Refusal;
}

/** One life of an agent, a key and a server: made, changed, and some of them ended. */
async function writeOnce(serving: ServeProcess, answered: Set<string>, name: string): Promise<void> {
  const change = async (action: string, route: string, input: object): Promise<Record<string, unknown>> => {
    const { status, body } = await serving.rest(route, input);
    if (status !== 200) throw new Refusal(`${route}: ${status} ${JSON.stringify(body)}`);
    for (const kind of ["agent", "server", "apiKey", "deleted"]) {
      const id = at(body, kind, "id");
      const version = at(body, kind, "version");
      if (typeof id === "string") answered.add(`${action} ${id} ${typeof version === "number" ? version : ""}`);
    }
    return body;
  };
  const created = await change("agent.create", "POST /agents", { name, type: "custom", groups: [`g-${name}`] });
  const agent = textAt(created, "agent", "id");
  await change("agent.update", `PATCH /agents/${agent}`, { description: `about ${name}`, rotateKey: true });
  const made = await change("key.create", "POST /api-keys", { name, role: "operator" });
  const key = textAt(made, "apiKey", "id");
  if (key.charCodeAt(key.length - 1) % 2 === 0)
    await change("key.revoke", `POST /api-keys/${key}/revoke`, { confirm: true });
  if (agent.charCodeAt(agent.length - 1) % 3 === 0)
    await change("agent.delete", `DELETE /agents/${agent}`, { confirm: true });
  // Nobody answers there: the server is registered as unreachable.
  const url = "http://127.0.0.1:1/mcp";
  const registered = await change("server.create", "POST /servers", {
    name,
    transport: "streamable-http",
    url,
    allowPrivateNetwork: true,
    credential: { type: "bearer", token: "a-token-of-no-worth" },
  });
  const server = textAt(registered, "server", "id");
  await change("server.update", `PATCH /servers/${server}`, { description: `about ${name}`, groups: [`g-${name}`] });
  if (server.charCodeAt(server.length - 1) % 3 === 0)
    await change("server.delete", `DELETE /servers/${server}`, { confirm: true });
}

/** Replays the log and compares it with the rows, both ways. Returns how many events there are. */
async function expectConsistent(serving: ServeProcess, answered: ReadonlySet<string>): Promise<number> {
  const events = await restAll(serving, "GET /audit-events");
  expect(events.map((event) => at(event, "seq"))).toEqual(events.map((_event, index) => index + 1));
  const told = replay(events);
  const agents = await restAll(serving, "GET /agents");
  expect(versionsOf(agents)).toEqual(told.versions("agent"));
  expect(versionsOf(await restAll(serving, "GET /servers"))).toEqual(told.versions("server"));
  const keys = await restAll(serving, "GET /api-keys");
  const own = keys.filter((key) => at(key, "createdBy", "type") === "key");
  expect(statesOf(own)).toEqual(told.keyStates());
  expect(versionsOf(own)).toEqual(told.versions("apiKey"));
  // An agent without its key, or a key without its agent, would be half a change.
  const active = keys.filter((key) => at(key, "kind") === "agent" && at(key, "status") === "active");
  expect(active.map((key) => String(at(key, "agent", "id"))).toSorted()).toEqual(
    agents.map((agent) => textAt(agent, "id")).toSorted(),
  );
  const known = told.changes();
  expect([...answered].filter((change) => !known.has(change))).toEqual([]);
  return events.length;
}

function versionsOf(rows: readonly unknown[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(rows.map((row) => [textAt(row, "id"), at(row, "version")]));
}

function statesOf(rows: readonly unknown[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(rows.map((row) => [textAt(row, "id"), at(row, "status")]));
}

interface Told {
  versions(kind: string): Readonly<Record<string, number>>;
  keyStates(): Readonly<Record<string, string>>;
  /** `action id version`, as the writers note what they were answered. */
  changes(): ReadonlySet<string>;
}

function replay(events: readonly unknown[]): Told {
  const versions = new Map<string, Map<string, number>>();
  const keys = new Map<string, string>();
  const changes = new Set<string>();
  for (const event of events) {
    const [action, kind, id] = [
      textAt(event, "action"),
      textAt(event, "resource", "type"),
      textAt(event, "resource", "id"),
    ];
    const isByCaller = at(event, "actor", "type") === "key";
    if (!isByCaller || at(event, "outcome") !== "success") continue;
    if (kind === "apiKey") keys.set(id, action === "key.revoke" ? "revoked" : "active");
    const ofKind = versions.get(kind) ?? new Map<string, number>();
    versions.set(kind, ofKind);
    const isEnd = action.endsWith(".delete");
    const version = (ofKind.get(id) ?? 0) + 1;
    if (isEnd) ofKind.delete(id);
    else ofKind.set(id, version);
    changes.add(`${action} ${id} ${isEnd ? "" : version}`);
  }
  return {
    versions: (kind) => Object.fromEntries(versions.get(kind) ?? []),
    keyStates: () => Object.fromEntries(keys),
    changes: () => changes,
  };
}
