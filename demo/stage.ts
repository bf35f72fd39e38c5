import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { makeStdioPlace } from "../test/fixtures/mcp/stdio-place.ts";
import { startChild } from "./children.ts";
import { freePort, startTokenGuard, type TokenGuard } from "./token-guard.ts";

const ROOT = resolve(import.meta.dirname, "..");
const FILESYSTEM = "@modelcontextprotocol/server-filesystem";
const EVERYTHING = join(ROOT, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");

/** The real parts, running: Runlayer itself, one upstream over HTTP behind a token, one to be started over stdio. */
export interface Stage extends AsyncDisposable {
  /** Where Runlayer serves. */
  readonly url: string;
  readonly ownerKey: string;
  readonly dataDir: string;
  readonly pid: number;
  /** In front of `server-everything`. */
  readonly guard: TokenGuard;
  readonly upstreamToken: string;
  /** How `server-filesystem` is started. */
  readonly filesystem: { readonly command: string; readonly args: readonly string[]; readonly cwd: string };
  /** The folder that `server-filesystem` serves. */
  readonly documents: string;
  /** The account that runs stdio servers; set only where the demo runs as root. */
  readonly stdioUser: string | undefined;
}

/** Sets everything up in the temporary folder; disposing stops every process and removes every file. */
export async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-demo-"));
  stack.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const place = makeStdioPlace([FILESYSTEM]);
  stack.defer(() => place.remove());
  const documents = writeDocuments(place.folder);
  const port = await freePort();
  const upstreamToken = `upstream-${randomBytes(12).toString("hex")}`;
  await startEverything(port, stack);
  const guard = await startTokenGuard({ port, token: upstreamToken });
  stack.defer(() => guard.close());
  const ownerKey = `rl_org_${randomBytes(20).toString("hex")}`;
  const serving = await startRunlayer({ dataDir, ownerKey, stdioUser: place.user }, stack);
  const entry = join(place.folder, "node_modules", FILESYSTEM, "dist/index.js");
  const filesystem = { command: place.node, args: [entry, documents], cwd: place.folder };
  const finished = stack.move();
  return {
    ...serving,
    ownerKey,
    dataDir,
    guard,
    upstreamToken,
    filesystem,
    documents,
    stdioUser: place.user,
    [Symbol.asyncDispose]: () => finished.disposeAsync(),
  };
}

function writeDocuments(folder: string): string {
  const documents = join(folder, "documents");
  mkdirSync(documents);
  // The stdio server may run as another account and writes here.
  chmodSync(documents, 0o777);
  writeFileSync(join(documents, "release-notes.md"), "# 2.4\n\n- Exports run in the background.\n");
  writeFileSync(join(documents, "roadmap.md"), "# Next\n\n- Single sign-on.\n");
  return documents;
}

async function startEverything(port: number, stack: AsyncDisposableStack): Promise<void> {
  const env = { PORT: String(port) };
  const child = await startChild({ args: [EVERYTHING, "streamableHttp"], env, readyLine: "listening on port" });
  stack.defer(() => child.stop());
}

interface RunlayerSettings {
  readonly dataDir: string;
  readonly ownerKey: string;
  readonly stdioUser: string | undefined;
}

async function startRunlayer(
  { dataDir, ownerKey, stdioUser }: RunlayerSettings,
  stack: AsyncDisposableStack,
): Promise<{ url: string; pid: number }> {
  const port = await freePort();
  const env = {
    PATH: process.env["PATH"] ?? "",
    RUNLAYER_PORT: String(port),
    RUNLAYER_DATA_DIR: dataDir,
    RUNLAYER_BOOTSTRAP_KEY: ownerKey,
    RUNLAYER_LOG_LEVEL: "warn",
    ...(stdioUser === undefined ? {} : { RUNLAYER_STDIO_USER: stdioUser }),
  };
  const args = [join(ROOT, "bin/runlayer.js"), "serve"];
  const child = await startChild({ args, env, readyLine: "Runlayer serves at" });
  stack.defer(() => child.stop());
  return { url: `http://127.0.0.1:${port}`, pid: child.pid };
}
