import type { Command } from "commander";
import type { CliSettings } from "../surfaces/cli/build-cli.ts";
import { attempt } from "./attempt.ts";
import { EXIT } from "../surfaces/cli/exit-codes.ts";

/** `skills push`, `pull` and `test`: a folder of skills, as git keeps it, and the registry. */
export function addSkillCommands(program: Command, settings: CliSettings): void {
  const skills = program.commands.find((command) => command.name() === "skills") ?? program.command("skills");
  const print = (line: string): void => settings.process.print(`${line}\n`);
  addSync(skills, settings, print);
  addTest(skills, settings, print);
}

function addSync(skills: Command, settings: CliSettings, print: (line: string) => void): void {
  skills
    .command("push")
    .description("Make the registry hold the skills of a folder: one folder for each skill.")
    .argument("<dir>", "Folder of skills, or of one skill")
    .option("--dry-run", "Say what would change and change nothing")
    .option("--prune", "Also delete skills that the folder does not have")
    .action((folder: string, options: { dryRun?: true; prune?: true }) =>
      attempt(settings, async () => {
        const { pushSkills } = await import("./skill-sync.ts");
        const lines = await pushSkills(folder, {
          ...options,
          operations: settings.operations,
          env: settings.process.env,
        });
        for (const line of lines) print(line);
      }),
    );
  skills
    .command("pull")
    .description("Write the skills of the registry into a folder, each into a folder of its own.")
    .argument("<dir>", "Folder to write to")
    .option("--dry-run", "Say what would change and change nothing")
    .action((folder: string, options: { dryRun?: true }) =>
      attempt(settings, async () => {
        const { pullSkills } = await import("./skill-sync.ts");
        const lines = await pullSkills(folder, {
          ...options,
          operations: settings.operations,
          env: settings.process.env,
        });
        for (const line of lines) print(line);
      }),
    );
}

function addTest(skills: Command, settings: CliSettings, print: (line: string) => void): void {
  skills
    .command("test")
    .description("Run a skill's cases (`tests/*.json`) in the sandbox, with recorded tools.")
    .argument("<dir>", "Folder of the skill")
    .option("--json", "Print the report as JSON")
    .action((folder: string, { json }: { json?: true }) =>
      attempt(settings, async () => {
        const { runSkillTest } = await import("../skills/testing/run-skill-test.ts");
        const report = await runSkillTest(folder);
        if (json === true) print(JSON.stringify(report, undefined, 2));
        else for (const line of toLines(report)) print(line);
        if (!report.ok) settings.setExitCode(EXIT.found);
      }),
    );
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
