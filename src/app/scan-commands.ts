import { InvalidArgumentError, type Command } from "commander";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";

interface ScanFlags {
  readonly json?: boolean;
  readonly sarif?: boolean;
  readonly failOn?: string;
  readonly network?: readonly string[];
  readonly port?: readonly number[];
  readonly allowPublic?: boolean;
}

/** `runlayer scan`: looks at this machine, or at the folders named, without a server and without a data directory. */
export function addScanCommand(program: Command, settings: CliSettings): void {
  program
    .command("scan")
    .description(
      "Find MCP servers, agents and skills on this machine, or in the folders named. Starts and changes nothing.",
    )
    .argument("[path...]", "Home directories or project folders; without one, this machine with its processes")
    .option("--json", "Print the findings as JSON")
    .option("--sarif", "Print the findings as SARIF, for code hosts")
    .option("--fail-on <severity>", "Lowest severity that makes the exit code 1", "low")
    .option("--network <range...>", "Private ranges or hosts to probe; nothing else is contacted")
    .option("--port <port...>", "Ports to probe there", parsePort)
    .option("--allow-public", "The ranges may be public addresses: they are yours")
    .action(async (paths: readonly string[], { network, port, ...flags }: ScanFlags) => {
      const { runScanCommand } = await import("../sweep/scan-command.ts");
      const { print, printError } = settings.process;
      const stop = new AbortController();
      const onInterrupt = (): void => stop.abort();
      process.once("SIGINT", onInterrupt);
      const io = { out: print, err: printError, isTerminal: process.stderr.isTTY, signal: stop.signal };
      settings.setExitCode(await runScanCommand({ ...flags, paths, networks: network, ports: port }, io));
      process.removeListener("SIGINT", onInterrupt);
    });
}

function parsePort(text: string, before: readonly number[] = []): readonly number[] {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return [...before, port];
  throw new InvalidArgumentError("must be a port such as 8080");
}
