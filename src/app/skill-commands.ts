import type { Command } from "commander";
import { toVisibleJson } from "../lib/escape-hidden.ts";
import { readVariable } from "../lib/read-variable.ts";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { readAgentKey } from "./agent-key.ts";
import { attempt } from "./attempt.ts";
import { EXIT, toExitCode } from "../surfaces/cli/exit-codes.ts";
import { toLine } from "./skill-change.ts";
import type { Synced } from "./skill-faults.ts";

const URL_DEFAULT = "http://127.0.0.1:7420";

/** `skills push`, `pull` and `test`: a folder of skills, as git keeps it, and the registry. */
export function addSkillCommands(program: Command, settings: CliSettings): void {
  const skills = program.commands.find((command) => command.name() === "skills") ?? program.command("skills");
  const print = (line: string): void => settings.process.print(`${line}\n`);
  addPush(skills, settings);
  addPull(skills, settings);
  addTest(skills, settings, print);
}

interface SyncFlags {
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

function addPush(skills: Command, settings: CliSettings): void {
  skills
    .command("push")
    .description("Make the registry hold the skills of a folder: one folder for each skill; or the skill of a zip.")
    .argument("<dir>", "Folder of skills, or of one skill, or a file NAME.zip")
    .option("--dry-run", "Say what would change and change nothing")
    .option("--prune", "Also delete skills that the folder does not have")
    .option("--json", "Print what changes as JSON")
    .action((folder: string, { json, ...options }: SyncFlags & { readonly prune?: true }) =>
      attempt(
        settings,
        async () => {
          const { pushSkills } = await import("./skill-push.ts");
          const pushed = await pushSkills(folder, { ...options, ...source(settings) });
          printChanges(pushed, { settings, json, dryRun: options.dryRun });
        },
        json,
      ),
    );
}

function addPull(skills: Command, settings: CliSettings): void {
  skills
    .command("pull")
    .description("Write the skills of the registry into a folder, each into a folder of its own.")
    .argument("<dir>", "Folder to write to")
    .option("--zip", "Write a file NAME.zip for each skill instead of a folder")
    .option("--dry-run", "Say what would change and change nothing")
    .option("--prune", "Also remove files of a skill's folder that the registry's version does not have")
    .option("--json", "Print what changes as JSON")
    .action((folder: string, { json, ...options }: SyncFlags & { readonly zip?: true; readonly prune?: true }) =>
      attempt(
        settings,
        async () => {
          const { pullSkills } = await import("./skill-pull.ts");
          const pulled = await pullSkills(folder, { ...options, ...source(settings) });
          printChanges(pulled, { settings, json, dryRun: options.dryRun });
        },
        json,
      ),
    );
}

function source({ operations, process: { env } }: CliSettings) {
  return { operations, env };
}

interface ChangesForm extends SyncFlags {
  readonly settings: CliSettings;
}

/** Where something is refused, JSON holds the refusal too: it is one document. */
function printChanges({ changes, refusal }: Synced, { settings, json, dryRun = false }: ChangesForm): void {
  const { process, setExitCode } = settings;
  if (json === true) {
    const error = refusal === undefined ? {} : { error: { code: refusal.code, message: refusal.message } };
    process.print(`${toVisibleJson({ dryRun, skills: changes, ...error })}\n`);
    if (refusal !== undefined) setExitCode(toExitCode(refusal.code));
    return;
  }
  for (const change of changes) process.print(`${toLine(change, dryRun)}\n`);
  if (refusal !== undefined) throw refusal;
}

function addTest(skills: Command, settings: CliSettings, print: (line: string) => void): void {
  skills
    .command("test")
    .description("Run a skill's cases (`tests/*.json`) in the sandbox, with recorded tools or live ones.")
    .argument("<dir>", "Folder of the skill")
    .option("--live", "Call the servers for real, through the gateway at RUNLAYER_URL, as the agent whose key is given")
    .option("--key-file <path>", "With --live: file that holds the agent's key; otherwise RUNLAYER_AGENT_KEY")
    .option("--json", "Print the report as JSON")
    .action((folder: string, { json, live, keyFile }: { json?: true; live?: true; keyFile?: string }) =>
      attempt(
        settings,
        async () => {
          const { runSkillTest } = await import("../skills/testing/run-skill-test.ts");
          const { env } = settings.process;
          const report = await (live === true ? testLive(folder, { env, keyFile }) : runSkillTest(folder));
          if (json === true) print(toVisibleJson(report));
          else for (const line of toLines(report)) print(line);
          if (!report.ok) settings.setExitCode(EXIT.found);
        },
        json,
      ),
    );
}

/** The agent's key decides what the skill may call: it passes the same policies, and is recorded, as when the agent runs it. */
async function testLive(
  folder: string,
  { env, keyFile }: { readonly env: CliSettings["process"]["env"]; readonly keyFile: string | undefined },
): Promise<Report & { readonly ok: boolean }> {
  const { runSkillTest } = await import("../skills/testing/run-skill-test.ts");
  const { openLiveTools } = await import("./skill-live-tools.ts");
  const url = readVariable(env, "RUNLAYER_URL") ?? URL_DEFAULT;
  await using tools = await openLiveTools({ url, key: readAgentKey(env, keyFile) });
  return runSkillTest(folder, { toolCaller: tools });
}

interface Report {
  readonly skill: string;
  readonly cases: readonly { readonly name: string; readonly ok: boolean; readonly problems: readonly string[] }[];
}

function toLines({ skill, cases }: Report): string[] {
  return cases.flatMap(({ name, ok, problems }) => [
    `${ok ? "ok    " : "failed"} ${skill} ${name}`,
    ...problems.map((problem) => `       ${problem}`),
  ]);
}
