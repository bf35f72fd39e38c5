import type { CliProcess } from "./build-cli.ts";

/** The process that the CLI runs in. Somebody is there to ask only if both ends are a terminal. */
export function terminalProcess(): CliProcess {
  const isInteractive = process.stdin.isTTY && process.stderr.isTTY;
  return {
    env: process.env,
    print: (text) => void process.stdout.write(text),
    printError: (text) => void process.stderr.write(text),
    confirm: isInteractive ? ask : undefined,
  };
}

async function ask(message: string): Promise<boolean> {
  const { confirm, isCancel } = await import("@clack/prompts");
  // The prompt goes to standard error, so that `--json` on standard output stays clean.
  const answer = await confirm({ message, initialValue: false, output: process.stderr });
  return !isCancel(answer) && answer;
}
