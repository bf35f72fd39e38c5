import { escapeHiddenText, toVisibleJson } from "../../lib/escape-hidden.ts";
import { readVariable } from "../../lib/read-variable.ts";
import type { Operation } from "../../operations/define-operation.ts";
import { secretsIn } from "../../operations/secret-members.ts";
import type { CliProcess } from "./build-cli.ts";
import { callApi, type ApiAnswer, type ApiTarget } from "./call-api.ts";
import { toCliWords } from "./cli-words.ts";
import { toExitCode, toOutputExitCode } from "./exit-codes.ts";
import { show } from "./show.ts";

const URL_DEFAULT = "http://127.0.0.1:7420";

interface Run {
  readonly operation: Operation;
  /** All there are: messages name them. */
  readonly operations: readonly Operation[];
  readonly input: Fields;
  readonly isJson: boolean;
  readonly process: CliProcess;
  /** The answer for people, where it has a form of its own. */
  readonly toText?: ((output: Fields) => string) | undefined;
}

type Fields = Readonly<Record<string, unknown>>;
type Failure = Extract<ApiAnswer, { readonly ok: false }>;

/** Calls an operation, asks where it wants confirmation and somebody is there, prints the answer; gives the exit code. */
export async function runOperation(run: Run): Promise<number> {
  const answer = await callConfirmed(run, apiTarget(run.process));
  if (!answer.ok) return printFailure(run, answer);
  printOutput(run, answer.output);
  return toOutputExitCode(answer.output);
}

/** The server and the key that the environment names. */
export function apiTarget({ env }: Pick<CliProcess, "env">): ApiTarget {
  return { url: readVariable(env, "RUNLAYER_URL") ?? URL_DEFAULT, apiKey: readVariable(env, "RUNLAYER_API_KEY") };
}

async function callConfirmed({ operation, input, process }: Run, target: ApiTarget): Promise<ApiAnswer> {
  const answer = await callApi(operation, input, target);
  if (answer.ok || answer.code !== "confirmation_required" || process.confirm === undefined) return answer;
  process.printError(`${showImpact(answer)}\n`);
  const isConfirmed = await process.confirm(`${operation.title}: carry it out?`);
  return isConfirmed ? callApi(operation, { ...input, confirm: true }, target) : answer;
}

function printOutput({ operation, input, isJson, process, toText = show }: Run, output: Fields): void {
  process.print(isJson ? toJson(output) : `${toText(output)}\n`);
  if (input["dryRun"] === true && !isJson) process.printError("dry run: nothing was changed\n");
  const shown = secretsIn(output, operation.secrets);
  if (shown.length > 0) {
    process.printError(`note: ${shown.join(", ")} is shown this once; store it now, it cannot be shown again\n`);
  }
}

function printFailure({ operation, operations, isJson, process }: Run, failure: Failure): number {
  const { code, message, details } = failure;
  if (isJson) process.print(toJson({ error: { code, message, ...(details === undefined ? {} : { details }) } }));
  else process.printError(`${code}: ${escapeHiddenText(toCliWords(message, operation, operations))}\n`);
  if (code === "confirmation_required" && !isJson) {
    process.printError(`${showImpact(failure)}\nadd --confirm to carry it out\n`);
  }
  if (code === "unauthenticated" && !isJson) process.printError("set RUNLAYER_API_KEY to an organization key\n");
  return toExitCode(code);
}

function showImpact({ details }: Failure): string {
  return show({ impact: details?.["impact"] ?? {} });
}

/** Also JSON goes to terminals, and from there into programs: what is invisible is escaped, and nothing is changed. */
function toJson(value: unknown): string {
  return `${toVisibleJson(value)}\n`;
}
