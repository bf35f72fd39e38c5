import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateApiKey, hashApiKey } from "../../src/auth/api-key-format.ts";
import { ensureFirstKey, ensureOrganization } from "../../src/auth/first-start.ts";
import { loadPepper } from "../../src/auth/pepper.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";
import { openStore } from "../../src/store/open-store.ts";
import { loadMasterKey } from "../../src/vault/master-key.ts";
import { createVault, type Vault } from "../../src/vault/vault.ts";
import { aDevice } from "../../test/harness/entities-sweep.ts";
import { anApiKey, aServer } from "../../test/harness/entities.ts";

/* The whole program on SQLite, with devices and servers that are registered already. */

export interface FleetServer {
  readonly url: string;
  readonly pid: number;
  readonly ownerKey: string;
  readonly deviceKeys: readonly string[];
  /** Most memory that the process has had, in MB (Linux). */
  peakMb(): number;
  stop(): Promise<void>;
}

const BIN = fileURLToPath(new URL("../../bin/runlayer.js", import.meta.url));

export async function startFleetServer(devices: number, servers: number): Promise<FleetServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-bench-"));
  const ownerKey = generateApiKey("organization");
  const deviceKeys = await seed(dataDir, { devices, servers, ownerKey });
  const port = await freePort();
  const flags = (process.env["BENCH_NODE_FLAGS"] ?? "").split(" ").filter((flag) => flag !== "");
  const child = spawn(process.execPath, [...flags, BIN, "serve"], {
    env: {
      PATH: process.env["PATH"],
      RUNLAYER_PORT: String(port),
      RUNLAYER_DATA_DIR: dataDir,
      RUNLAYER_LOG_LEVEL: "warn",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  for await (const chunk of child.stdout) if (String(chunk).includes("serves at")) break;
  const pid = child.pid ?? 0;
  return {
    url: `http://127.0.0.1:${port}`,
    pid,
    ownerKey,
    deviceKeys,
    peakMb: () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

interface Seed {
  readonly devices: number;
  readonly servers: number;
  readonly ownerKey: string;
}

/** Straight into the database: enrolling ten thousand devices is not what is measured. */
async function seed(dataDir: string, { devices, servers, ownerKey }: Seed): Promise<readonly string[]> {
  const store = await openStore({ dataDir, clock: systemClock });
  const vault = createVault(loadMasterKey({ dataDir, key: undefined, keyFile: undefined }));
  const pepper = await loadPepper(store, vault);
  await ensureOrganization(store, Date.now());
  await ensureFirstKey({ store, pepper, bootstrapKey: ownerKey, now: Date.now() });
  const keys = Array.from({ length: devices }, () => generateApiKey("device"));
  await store.transaction(async (repositories) => {
    for (const [index, secret] of keys.entries()) {
      const key = anApiKey({ kind: "device", hash: hashApiKey(secret, pepper), role: null, agentId: null });
      await repositories.apiKeys.insert(key);
      await repositories.devices.insert(aDevice({ name: `device-${String(index)}`, keyId: key.id }));
    }
    for (let index = 0; index < servers; index += 1) await repositories.servers.insert(registered(index, vault));
  });
  await store.close();
  return keys;
}

function registered(index: number, vault: Vault) {
  const id = newId();
  const secrets = { credential: { type: "none" }, headers: {}, env: {}, args: ["-y", `@acme/s${String(index)}@1.0.0`] };
  return aServer({
    id,
    name: `server-${String(index)}`,
    transport: "stdio",
    url: null,
    command: "npx",
    headerNames: [],
    credential: { type: "none", rotatedAt: null, hint: null, names: [], tokenUrl: null },
    sealedSecrets: vault.seal(secrets, { table: "servers", id, version: 1 }),
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
  return typeof address === "object" && address !== null ? address.port : 0;
}
