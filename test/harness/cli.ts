import { addCommands } from "../../src/app/commands.ts";
import { OPERATIONS } from "../../src/operations/index.ts";
import { buildCli, runCli } from "../../src/surfaces/cli/build-cli.ts";

/** What a command said and how it ended. */
export interface CliRun {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `runlayer …` in this process with only this environment, nobody at the terminal. */
export async function runlayer(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliRun> {
  let [exitCode, out, err] = [0, "", ""];
  const settings = {
    operations: OPERATIONS,
    version: "0.0.0-test",
    process: {
      env,
      print: (text: string) => void (out += text),
      printError: (text: string) => void (err += text),
      confirm: undefined,
    },
    setExitCode: (code: number) => void (exitCode = code),
  };
  const program = buildCli(settings);
  addCommands(program, settings);
  await runCli(program, args, settings);
  return { exitCode, out, err };
}
