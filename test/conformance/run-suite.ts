import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { parse } from "yaml";
import { z } from "zod";

const PACKAGE = dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json"));

const SUITE_MS_MAX = 180_000;

export interface SuiteResult {
  readonly exitCode: number | null;
  /** Required scenarios without a failed check. */
  readonly passed: readonly string[];
  /** Of the required scenarios, the lines of the summary that say something else. */
  readonly failed: readonly string[];
  readonly output: string;
}

const Requirements = z.object({ server: z.array(z.string()) });

/** What a revision requires of a server, as the suite has it. */
export function requiredScenarios(revision: string): readonly string[] {
  const file = readFileSync(join(PACKAGE, "requirements", `${revision}.yaml`), "utf8");
  return Requirements.parse(parse(file)).server;
}

/** Runs the official conformance suite against a URL, exactly what a revision requires. */
export async function runSuite(url: string, revision: string): Promise<SuiteResult> {
  return toResult({ ...(await run(["--url", url, "--requirements", revision])), revision });
}

/** Runs one scenario of the suite, required or not. */
export async function runScenario(
  url: string,
  scenario: string,
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  return run(["--url", url, "--scenario", scenario]);
}

async function run(flags: readonly string[]): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  const folder = mkdtempSync(join(tmpdir(), "runlayer-conformance-"));
  const child = spawn(process.execPath, [join(PACKAGE, "dist/index.js"), "server", ...flags, "--output-dir", folder], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: SUITE_MS_MAX,
    killSignal: "SIGKILL",
  });
  try {
    const exited = once(child, "exit");
    const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
    return { output: output + problems, exitCode: child.exitCode };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function toResult(run: { readonly output: string; readonly exitCode: number | null; readonly revision: string }) {
  const { output, exitCode, revision } = run;
  const required = new Set(requiredScenarios(revision));
  const summary = output.slice(output.indexOf("=== SUMMARY ==="));
  const lines = summary.split("\n").flatMap((line) => {
    const found = /^(\S) ([\w/.-]+): (\d+) passed, (\d+) failed(.*)$/u.exec(line);
    return found !== null && required.has(found[2] ?? "") ? [{ line, name: found[2] ?? "", found }] : [];
  });
  const isGood = ({ found }: (typeof lines)[number]): boolean =>
    found[1] === "✓" && Number(found[3]) > 0 && found[4] === "0" && found[5] === "";
  return {
    exitCode,
    output,
    passed: lines.filter(isGood).map(({ name }) => name),
    failed: lines.filter((line) => !isGood(line)).map(({ line }) => line),
  };
}
