import { stat } from "node:fs/promises";
import { type Command, InvalidArgumentError } from "commander";
import { isName } from "../domain/names.ts";
import { AppError } from "../lib/errors.ts";
import { readVariable } from "../lib/read-variable.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { apiTarget } from "../surfaces/cli/run-operation.ts";
import { SEVERITIES, type Severity } from "../sweep/finding.ts";
import type { ScanCommandIo, ScanCommandOptions, ScanForm } from "../sweep/scan-command.ts";
import { progressBar } from "../sweep/scan-table.ts";
import { attempt } from "./attempt.ts";
import { deviceNameOfHost } from "./device/device-name.ts";

interface ScanFlags {
  readonly json?: boolean;
  readonly sarif?: boolean;
  readonly failOn: string;
  readonly device?: string;
  readonly network?: readonly string[];
  readonly port?: readonly number[];
  readonly allowPublic?: boolean;
}

/**
 * `runlayer scan`: looks at this machine, or at the folders named. Alone it needs no server and no data directory; where `RUNLAYER_URL` is
 * set it reports to that server, which matches it against what is registered.
 */
export function addScanCommand(program: Command, settings: CliSettings): void {
  program
    .command("scan")
    .description(
      "Find MCP servers, agents and skills on this machine, or in the folders named. Starts and changes nothing. With RUNLAYER_URL set, that server judges and keeps what was found.",
    )
    .argument("[path...]", "Home directories or project folders; without one, this machine with its processes")
    .option("--json", "Print the findings as JSON")
    .option("--sarif", "Print the findings as SARIF, for code hosts")
    .option("--fail-on <severity>", "Lowest severity that makes the exit code 1", "low")
    .option("--device <name>", "What the server calls this machine; its host name unless told")
    .option("--network <range...>", "Private ranges or hosts to probe; nothing else is contacted")
    .option("--port <port...>", "Ports to probe there", parsePort)
    .option("--allow-public", "The ranges may be public addresses: they are yours")
    .action((paths: readonly string[], flags: ScanFlags) =>
      attempt(settings, async () => settings.setExitCode(await scan(paths, flags, settings))),
    );
}

async function scan(paths: readonly string[], flags: ScanFlags, { process: terminal }: CliSettings): Promise<number> {
  const { network: networks, port: ports, allowPublic } = flags;
  const options = { paths, form: formOf(flags), failOn: severityOf(flags.failOn), networks, ports, allowPublic };
  for (const path of paths) await requireFolder(path);
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort(new AppError("unavailable", "stopped before the end"));
  process.once("SIGINT", onInterrupt);
  const io: ScanCommandIo = {
    out: terminal.print,
    onProgress: process.stderr.isTTY ? (progress) => terminal.printError(progressBar(progress)) : undefined,
    signal: stop.signal,
  };
  try {
    return await run(options, io, { device: flags.device, terminal });
  } finally {
    process.removeListener("SIGINT", onInterrupt);
  }
}

async function run(
  options: ScanCommandOptions,
  io: ScanCommandIo,
  { device, terminal }: { readonly device: string | undefined; readonly terminal: CliSettings["process"] },
): Promise<number> {
  if (readVariable(terminal.env, "RUNLAYER_URL") === undefined) {
    if (device !== undefined) throw usage("`--device` is for a scan with a server; set RUNLAYER_URL");
    // Otherwise every finding reads to people as if the registry had been asked.
    if (options.form === "table") terminal.printError("not compared with a registry; set RUNLAYER_URL\n");
    const { runScanCommand } = await import("../sweep/scan-command.ts");
    return runScanCommand(options, io);
  }
  if (options.networks !== undefined || options.ports !== undefined) {
    throw usage("the server probes networks itself: use `runlayer scans run --networks`, or unset RUNLAYER_URL");
  }
  const name = device ?? deviceNameOfHost();
  if (!isName(name)) throw usage(`\`${name}\` is no name; a valid one is build-box`);
  const { runServerScan } = await import("./scan-with-server.ts");
  return runServerScan({ ...options, device: name }, io, apiTarget(terminal));
}

function formOf({ json, sarif }: ScanFlags): ScanForm {
  if (json === true && sarif === true) throw usage("give either `--json` or `--sarif`");
  return sarif === true ? "sarif" : json === true ? "json" : "table";
}

function severityOf(text: string): Severity {
  const severity = SEVERITIES.find((known) => known === text);
  if (severity === undefined) throw usage(`\`--fail-on\` must be one of ${SEVERITIES.join(", ")}`);
  return severity;
}

/** A folder that is not there would be one without findings. */
async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) throw usage(`\`${path}\` is no folder that can be read`);
}

function usage(message: string): AppError {
  return new AppError("invalid_input", message);
}

function parsePort(text: string, before: readonly number[] = []): readonly number[] {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return [...before, port];
  throw new InvalidArgumentError("must be a port such as 8080");
}
