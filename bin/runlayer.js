#!/usr/bin/env node
// Starts the CLI on Node 24 or newer. An older Node re-executes itself with the one that npm installed beside the package.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isOldNode = Number(process.versions.node.split(".")[0]) < 24;

// Compiled code is kept from start to start: inside the package, where only who installed it may write, and not in the shared temporary
// folder, where any user of the machine could put code. Where it cannot be written, nothing is kept.
if (!isOldNode) module.enableCompileCache(join(root, "node_modules", ".cache", "runlayer"));

if (isOldNode) reexecute();
else await import(existsSync(join(root, "src", "main.ts")) ? "../src/main.ts" : "../dist/main.js");

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
