import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const SRC = resolve(import.meta.dirname, "../src");

/** Who may import whom (docs/architecture.md). A folder that is not listed may import nothing of ours. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  domain: ["lib"],
  policy: ["domain", "lib"],
  audit: ["domain", "lib", "store ports"],
  vault: ["domain", "lib"],
  guard: ["domain", "lib"],
  store: ["domain", "lib", "audit"],
  auth: ["domain", "store ports", "vault", "policy", "lib"],
  snapshot: ["domain", "store ports", "vault", "policy", "lib"],
  sweep: ["domain", "guard", "lib"],
  skills: ["domain", "guard", "lib"],
  gateway: ["snapshot", "policy", "audit", "auth", "vault", "guard", "domain", "lib"],
  operations: [
    "domain",
    "store ports",
    "policy",
    "audit",
    "auth",
    "vault",
    "snapshot",
    "sweep",
    "skills",
    "guard",
    "lib",
  ],
  surfaces: ["operations", "auth", "lib"],
};

/** What others may know of the store: one file of ports, and one for each large aggregate. */
const PORTS = /^store\/(?:[a-z]+-)?ports\.ts$/;

interface Import {
  readonly file: string;
  readonly target: string;
  readonly isTypeOnly: boolean;
}

test("every import obeys the table", () => {
  expect(importsBelow(SRC).flatMap(violation)).toEqual([]);
});

test("finds a planted violation, and an import of the composition root", () => {
  const planted: Import = { file: "gateway/proxy.ts", target: "operations/index.ts", isTypeOnly: false };
  expect(violation(planted)).toEqual(["gateway/proxy.ts must not import operations/index.ts"]);
  expect(violation({ file: "gateway/proxy.ts", target: "app/start-app.ts", isTypeOnly: false })).toHaveLength(1);
  expect(violation({ file: "auth/keys.ts", target: "store/sql/database.ts", isTypeOnly: false })).toHaveLength(1);
  expect(violation({ file: "store/ports.ts", target: "audit/event.ts", isTypeOnly: true })).toEqual([]);
  expect(violation({ file: "store/sql/x.ts", target: "audit/sequencer.ts", isTypeOnly: false })).toHaveLength(1);
});

test("reads the imports of a file, static, dynamic, re-exported and worker URLs", () => {
  const source = [
    'import type { A } from "../audit/event.ts";',
    'import { b, type C } from "./b.ts";',
    'export { d } from "../lib/d.ts";',
    'const e = await import("../gateway/e.ts");',
    'import fs from "node:fs";',
  ].join("\n");
  expect(importsOf("store/x.ts", source).map((found) => found.target)).toEqual([
    "audit/event.ts",
    "store/b.ts",
    "lib/d.ts",
    "gateway/e.ts",
  ]);
});

function violation({ file, target, isTypeOnly }: Import): string[] {
  const folder = folderOf(file);
  const targetFolder = folderOf(target);
  if (folder === targetFolder) return [];
  // The store knows only the types of audit events, never the code that makes them.
  const isCodeOfAudit = folder === "store" && targetFolder === "audit" && !isTypeOnly;
  const allowed = isCodeOfAudit ? [] : mayImport(folder);
  if (allowed === "anything") return [];
  const place = PORTS.test(target) ? "store ports" : targetFolder;
  const isAllowed = allowed.includes(place) || allowed.includes(targetFolder);
  return isAllowed ? [] : [`${file} must not import ${target}`];
}

/** The process entry knows only the composition root, and nobody else knows that; the root wires everything. */
function mayImport(folder: string): readonly string[] | "anything" {
  if (folder === "app") return "anything";
  return folder === "." ? ["app", "surfaces", "operations", "lib"] : (MAY_IMPORT[folder] ?? []);
}

function folderOf(path: string): string {
  return path.includes("/") ? (path.split("/")[0] ?? "") : ".";
}

function importsBelow(folder: string): Import[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .flatMap((file) => importsOf(file.replaceAll("\\", "/"), readFileSync(join(folder, file), "utf8")));
}

function importsOf(file: string, source: string): Import[] {
  const pattern = /(?:^|\n)\s*(import|export)\s+(type\s)?[^"';]*?from\s+"(\.[^"]+)"|import\(\s*"(\.[^"]+)"\s*\)/g;
  return [...source.matchAll(pattern)].map((match) => {
    const path = match[3] ?? match[4] ?? "";
    const target = relative(SRC, resolve(SRC, dirname(file), path)).replaceAll("\\", "/");
    return { file, target, isTypeOnly: match[2] !== undefined };
  });
}
