import { readFileSync, statSync } from "node:fs";
import { AppError } from "../lib/errors.ts";
import { isKeyText } from "../lib/is-key-text.ts";
import { readVariable } from "../lib/read-variable.ts";

/** An agent's gateway key for a command: from a file, or from the environment, never from an argument that others can read. */
export function readAgentKey(env: Readonly<Record<string, string | undefined>>, keyFile: string | undefined): string {
  const key = keyFile === undefined ? readVariable(env, "RUNLAYER_AGENT_KEY") : readKeyFile(keyFile).trim();
  if (key === undefined || key === "")
    throw new AppError("invalid_input", "give `--key-file`, or set RUNLAYER_AGENT_KEY");
  if (isKeyText(key)) return key;
  const place = keyFile === undefined ? "RUNLAYER_AGENT_KEY" : `\`${keyFile}\``;
  throw new AppError("invalid_input", `${place} holds no key; it should be one line that starts with rl_agent_`);
}

function readKeyFile(path: string): string {
  // Node's own error would not name the path.
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new AppError("invalid_input", `\`${path}\`: it is a folder, not a file`);
  return readFileSync(path, "utf8");
}
