import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { AppError } from "../lib/errors.ts";
import { toVisibleJson } from "../lib/escape-hidden.ts";
import { isKeyText } from "../lib/is-key-text.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { attempt } from "./attempt.ts";
import type { Receipt } from "./device/control-plane.ts";
import { deviceNameOfHost } from "./device/device-name.ts";
import type { ServicePlatform } from "./device/service-text.ts";

const FOLDER = join(homedir(), ".runlayer");
const PROGRAM = resolve(import.meta.dirname, "../../bin/runlayer.js");
const EVERY_MS = 15 * 60_000;

/** `runlayer device …`: the reporter of one machine. It reads configurations and skills; it changes nothing but its own folder. */
export function addDeviceCommands(program: Command, settings: CliSettings): void {
  const device = program.command("device").description("Report what AI clients on this machine are configured with.");
  addEnroll(device, settings);
  addReport(device, settings);
  addService(device, settings);
}

function addEnroll(device: Command, settings: CliSettings): void {
  device
    .command("enroll")
    .description("Make this machine a device of an organization.")
    .requiredOption("--url <url>", "Address of the Runlayer server")
    .requiredOption("--key <key>", "A device key, or an organization key of role `scanner` or above that makes one")
    .option("--name <name>", "Unique name of the device", deviceNameOfHost())
    .option("--folder <path>", "Where the device keeps its key", FOLDER)
    .option("--json", "Print the answer as JSON")
    .action((options: EnrollFlags) => attempt(settings, () => enrollDevice(options, settings), options.json));
}

interface EnrollFlags {
  readonly url: string;
  readonly key: string;
  readonly name: string;
  readonly folder: string;
  readonly json?: boolean;
}

async function enrollDevice(options: EnrollFlags, settings: CliSettings): Promise<void> {
  const url = options.url.replace(/\/+$/, "");
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : "")) {
    throw new AppError(
      "invalid_input",
      "`--url` is no http or https URL; give one such as https://runlayer.example.com",
    );
  }
  if (!isKeyText(options.key)) {
    throw new AppError(
      "invalid_input",
      "`--key` is no key; it should be one word that starts with rl_device_ or rl_org_",
    );
  }
  const { enroll, submitReport } = await import("./device/control-plane.ts");
  const { writeState } = await import("./device/device-state.ts");
  const { folder, json, name } = options;
  const key = options.key.startsWith("rl_device_") ? options.key : await enroll({ url, key: options.key }, name);
  const { hashKey } = await submitReport({ url, key });
  await writeState(folder, { url, key, hashKey });
  const line = "enrolled; `runlayer device report` reports, `runlayer device service` keeps it running";
  settings.process.print(`${json === true ? toVisibleJson({ enrolled: true, url, folder }) : line}\n`);
}

interface ReportFlags {
  readonly every?: number;
  readonly allUsers?: boolean;
  readonly home?: readonly string[];
  readonly folder: string;
  readonly json?: boolean;
}

function addReport(device: Command, settings: CliSettings): void {
  device
    .command("report")
    .description("Read this machine and report, once, or until stopped with `--every`.")
    .option("--every <time>", "Report this often, and when a scan asks: `15m`, `1h`", parseEvery)
    .option("--all-users", "Read the homes of everybody, as far as permitted")
    .option("--home <path...>", "Read only these homes, and no processes")
    .option("--folder <path>", "Where the device keeps its key", FOLDER)
    .option("--json", "Print a line of JSON for each report that was sent")
    .action((flags: ReportFlags) => attempt(settings, () => report(flags, settings), flags.json));
}

async function report({ every, allUsers, home, folder, json }: ReportFlags, settings: CliSettings): Promise<void> {
  const { reportForever, reportOnce } = await import("./device/reporter.ts");
  const scope = { homes: home, isForAllUsers: allUsers === true };
  const log = logTo(settings);
  const onSent = (receipt: Receipt): void => {
    if (json === true) settings.process.print(`${toVisibleJson(receipt, 0)}\n`);
    else log(receipt.accepted ? "reported" : `not taken: ${receipt.reason ?? "no reason given"}`);
  };
  const options = { folder, scope, log, onSent };
  if (every === undefined) return reportOnce(options);
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"]) process.once(name, () => stop.abort());
  return reportForever({ ...options, everyMs: every, signal: stop.signal });
}

function logTo({ process: { printError } }: CliSettings): (line: string) => void {
  return (line) => printError(`runlayer: ${line}\n`);
}

function addService(device: Command, settings: CliSettings): void {
  const kinds: readonly ServicePlatform[] = ["systemd", "launchd", "windows"];
  device
    .command("service")
    .description("Print the file that makes this system run the reporter. Installs nothing.")
    .addOption(new Option("--for <system>", "System to write it for").choices(kinds).default(ownSystem()))
    .option("--every <time>", "Report this often", parseEvery, EVERY_MS)
    .option("--all-users", "Read the homes of everybody, as far as permitted")
    .option("--json", "Print system, command and text of the file as JSON")
    .action(async (options: { for: ServicePlatform; every: number; allUsers?: boolean; json?: boolean }) => {
      const { serviceText } = await import("./device/service-text.ts");
      const every = `${String(options.every / 60_000)}m`;
      const scope = options.allUsers === true ? ["--all-users"] : [];
      const command = [process.execPath, PROGRAM, "device", "report", "--every", every, ...scope];
      const text = serviceText(options.for, { command });
      const answer = { system: options.for, command, text };
      settings.process.print(options.json === true ? `${toVisibleJson(answer)}\n` : text);
    });
}

function ownSystem(): ServicePlatform {
  if (process.platform === "darwin") return "launchd";
  return process.platform === "win32" ? "windows" : "systemd";
}

function parseEvery(text: string): number {
  const [, count, unit] = /^(\d{1,5})(s|m|h)$/.exec(text) ?? [];
  const ms = Number(count) * (unit === "h" ? 3_600_000 : unit === "m" ? 60_000 : 1000);
  if (unit !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError("must be a time such as 15m");
}
