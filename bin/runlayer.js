#!/usr/bin/env node
// Starts the CLI on Node 24 or newer. An older Node re-executes itself with the one that npm installed beside the package.
import { executionAsyncResource } from "node:async_hooks";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodeMajor = Number(process.versions.node.split(".")[0]);
const isOldNode = nodeMajor < 24;
const keptAlive = new Set();

if (isOldNode) reexecute();
else {
  if (process.argv[2] === "serve") startTuned();
  keepTickShape();
  keepCompiledCode();
  // Loading makes much that lives on: without this the space for short-lived objects grows to 32 MB that an idle server keeps.
  // It may grow again when `serve` is ready.
  v8.setFlagsFromString("--semi-space-growth-factor=1");
  await import(existsSync(join(root, "src", "main.ts")) ? "../src/main.ts" : "../dist/main.js");
}

/**
 * Compiled code is kept beside the dependencies, never in a folder that others can write: it is run as it is found. A start that
 * finds it takes half the time and, in a clone, 40 MB less, because the type stripper is not loaded. Where the folder cannot be
 * written nothing is kept.
 */
function keepCompiledCode() {
  const directory = join(root, "node_modules", ".cache", "runlayer");
  const { status } = module.enableCompileCache(directory);
  const { ENABLED, ALREADY_ENABLED } = module.constants.compileCacheStatus;
  // Worker threads read the variable, which a person may have set already.
  if (status === ENABLED || status === ALREADY_ENABLED) process.env["NODE_COMPILE_CACHE"] ??= directory;
}

/**
 * What only the start of a process can set: the process starts itself once more, in place, within 40 ms.
 *
 * - V8 collects once more when a process falls idle, and drops every hidden class that no object has just then, such as that of a
 *   request: what was optimized for it is thrown away, and the first thousands of calls after each pause cost up to twice as much.
 *   Any other collection does the same to a class that none had for two of them: it keeps them for a thousand.
 * - V8 makes objects of a place in the code in the old generation once many made there outlived a few collections, as those of calls do
 *   that a burst leaves waiting, and for the life of the process: each later call then costs a tenth more. It does not try.
 * - glibc keeps most of what was freed, such as what compiling took, unless it is told when to give it back (12 MB with 256 sessions).
 */
function startTuned() {
  const flags = ["--no-memory-reducer", "--retain-maps-for-n-gc=1000", "--no-allocation-site-pretenuring"];
  // A Node whose V8 does not know a flag would not start at all.
  if (process.platform !== "linux" || nodeMajor !== 24 || process.execArgv.includes(flags[0])) return;
  const self = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const args = [process.execPath, ...process.execArgv, ...flags, ...self];
  process.execve(process.execPath, args, { MALLOC_TRIM_THRESHOLD_: String(128 * 1024), ...process.env });
}

/**
 * V8 makes the entries of `process.nextTick` fast for one hidden class alone. When that is collected, because no tick waited during
 * some collections of the start, each tick takes six times as long for the life of the process (0.65 instead of 0.1 µs, and a call
 * has eight or so). One entry that stays keeps the class.
 */
function keepTickShape() {
  process.nextTick(() => keptAlive.add(executionAsyncResource()));
}

function reexecute() {
  const candidates = [join(root, "node_modules", "node", "bin", "node"), join(root, "..", "node", "bin", "node")];
  const node = candidates.find((path) => existsSync(path));
  if (node === undefined) {
    process.stderr.write(
      `runlayer needs Node 24 or newer, this is ${process.versions.node}; run npm install or upgrade Node\n`,
    );
    process.exit(2);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}
