import { readFileSync } from "node:fs";
import { AppError } from "../lib/errors.ts";
import { readVariable } from "../lib/read-variable.ts";

/** An agent's gateway key for a command: from a file, or from the environment, never from an argument that others can read. */
export function readAgentKey(env: Readonly<Record<string, string | undefined>>, keyFile: string | undefined): string {
  const key = keyFile === undefined ? readVariable(env, "RUNLAYER_AGENT_KEY") : readFileSync(keyFile, "utf8").trim();
  if (key === undefined || key === "")
    throw new AppError("invalid_input", "give `--key-file`, or set RUNLAYER_AGENT_KEY");
  return key;
}
