import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect } from "vitest";
import { startLegacyServer } from "../fixtures/mcp/http-servers.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { at, textAt } from "../harness/app.ts";
import { restAll, startServe, type ServeProcess } from "../harness/serve-process.ts";

const OWNER_KEY = `rl_org_${"kill-traffic-".repeat(4)}`;
const AGENTS = 4;
const CALLERS_PER_SESSION = 3;
/** Two grace periods of a child and what a slow machine needs. */
const CHILDREN_GONE_MS = 30_000;

interface World {
  readonly dataDir: string;
  readonly place: StdioPlace;
  readonly keys: readonly string[];
  /** Of every call whose answer a client has received. */
  readonly answered: Set<string>;
  /** The log as read so far: what a `seq` once was, it stays. */
  readonly idBySeq: Map<number, string>;
  /** How each event of a call ended, by call. */
  readonly endingsByNonce: Map<string, readonly string[]>;
}

export interface KillReport {
  readonly answered: number;
  readonly events: number;
  /** Calls that were on their way when the process died. */
  readonly cut: number;
}

/** Kills the serving process under load again and again; requires after each restart that the log knows every answered call. */
export async function killTrafficRounds(rounds: number): Promise<KillReport> {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-kill-traffic-"));
  const upstream = await startLegacyServer();
  const place = makeStdioPlace();
  const start = (): Promise<ServeProcess> =>
    startServe({ dataDir, ownerKey: OWNER_KEY, environment: { RUNLAYER_STDIO_USER: place.user } });
  let readUntil = Date.now();
  let serving = await start();
  try {
    const keys = await register(serving, { url: `${upstream.origin}/mcp`, place });
    const world: World = {
      dataDir,
      place,
      keys,
      answered: new Set(),
      idBySeq: new Map(),
      endingsByNonce: new Map(),
    };
    for (let round = 0; round < rounds; round += 1) {
      // Both promise the same for a call that was answered.
      const auditDurability = round % 2 === 0 ? "before-dispatch" : "before-answer";
      expect((await serving.rest("PATCH /organization", { auditDurability })).status).toBe(200);
      await loadAndKill(serving, world, round);
      await expectChildrenGone(place);
      serving = await start();
      const readFrom = readUntil;
      readUntil = Date.now();
      await expectRecorded(serving, world, readFrom);
    }
    const endings = [...world.endingsByNonce.values()].flat();
    const cut = endings.filter((ending) => ending === "unknown_after_crash").length;
    return { answered: world.answered.size, events: world.idBySeq.size, cut };
  } finally {
    await serving.kill();
    await upstream.close();
    place.remove();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function register(serving: ServeProcess, { url, place }: { url: string; place: StdioPlace }) {
  const http = { name: "http", transport: "streamable-http", url, allowPrivateNetwork: true };
  const stdio = { name: "stdio", transport: "stdio", command: place.node, args: [place.script], confirm: true };
  for (const server of [http, stdio]) {
    const { body } = await serving.rest("POST /servers", server);
    expect(at(body, "discovery", "state"), JSON.stringify(body)).toBe("ok");
  }
  const keys: string[] = [];
  for (let agent = 0; agent < AGENTS; agent += 1) {
    const reply = await serving.rest("POST /agents", {
      name: `a-${agent}`,
      type: "custom",
      servers: ["http", "stdio"],
    });
    keys.push(textAt(reply.body, "key"));
  }
  return keys;
}

/** Real clients of several agents call both servers at once, on paths of their own and together, until the process is gone in the midst of it. */
async function loadAndKill(serving: ServeProcess, { keys, answered, place }: World, round: number): Promise<void> {
  const before = answered.size;
  const sessions = keys.flatMap((key, agent) => [
    { key, path: "/gateway/http/mcp", tool: "tool-0", mark: `n${round}h${agent}` },
    { key, path: "/gateway/stdio/mcp", tool: "read", mark: `n${round}s${agent}` },
    { key, path: "/gateway/mcp", tool: "http__tool-0", mark: `n${round}a${agent}` },
  ]);
  const clients: Client[] = [];
  const load = sessions.map(async ({ key, path, tool, mark }) => {
    const client = new Client({ name: "kill-test", version: "1.0.0" });
    clients.push(client);
    const requestInit = { headers: { Authorization: `Bearer ${key}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${serving.url}${path}`), { requestInit }));
    const callers = Array.from({ length: CALLERS_PER_SESSION }, async (_item, caller) => {
      for (let call = 0; ; call += 1) {
        const nonce = `${mark}c${caller}x${call}`;
        await client.callTool({ name: tool, arguments: { path: `/none/${nonce}` } });
        answered.add(nonce);
      }
    });
    await Promise.all(callers);
  });
  const ended = Promise.allSettled(load);
  await expect.poll(() => answered.size, { timeout: 60_000 }).toBeGreaterThan(before + 50);
  for (const way of ["h", "s", "a"])
    await expect
      .poll(() => [...answered].some((nonce) => nonce.startsWith(`n${round}${way}`)), { timeout: 60_000 })
      .toBe(true);
  await sleep(Math.random() * 400);
  expect(processesWith(place.folder).length).toBeGreaterThan(0);
  await serving.kill();
  // Calls end with the connection; a client that waits for an answer is closed.
  await Promise.all(clients.map((client) => client.close().catch(() => undefined)));
  await ended;
}

/** Every process that names the folder of the servers: children, their guards, and what they started. */
async function expectChildrenGone({ folder }: StdioPlace): Promise<void> {
  await expect.poll(() => processesWith(folder), { timeout: CHILDREN_GONE_MS }).toEqual([]);
}

function processesWith(text: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandLineOf(pid).includes(text));
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended between the two looks.
    return "";
  }
}

async function expectRecorded(serving: ServeProcess, world: World, readFrom: number): Promise<void> {
  const { answered, idBySeq, endingsByNonce } = world;
  // All since the reading before, with a margin: what was read twice must be the same.
  const from = new Date(readFrom - 1_000).toISOString();
  for (const event of await restAll(serving, "GET /audit-events", { from })) note(event, world);
  const seqs = [...idBySeq.keys()].toSorted((a, b) => a - b);
  expect(seqs).toEqual(seqs.map((_seq, index) => index + 1));
  expect(new Set(idBySeq.values()).size).toBe(idBySeq.size);
  expect([...answered].filter((nonce) => !endingsByNonce.has(nonce))).toEqual([]);
  expect([...endingsByNonce].filter(([, endings]) => endings.length !== 1)).toEqual([]);
}

function note(event: unknown, { idBySeq, endingsByNonce }: World): void {
  const seq = Number(at(event, "seq"));
  const id = textAt(event, "id");
  const known = idBySeq.get(seq);
  if (known !== undefined) return expect(known).toBe(id);
  idBySeq.set(seq, id);
  const path = at(event, "details", "arguments", "path");
  if (at(event, "action") !== "tool.call" || typeof path !== "string") return;
  const nonce = path.replace("/none/", "");
  const ending = at(event, "reason") ?? at(event, "outcome");
  endingsByNonce.set(nonce, [...(endingsByNonce.get(nonce) ?? []), String(ending)]);
}
