import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { NameField } from "../fields.ts";

const Entry = z.looseObject({ name: NameField });
const OBJECTS_MAX = 10_000;

/** What a configuration holds: each entry has the fields of the operation that creates its kind. */
export const ConfigurationField = z.strictObject({
  settings: z.record(z.string(), z.unknown()).optional().describe("As update_organization takes them"),
  groups: z.array(NameField).max(OBJECTS_MAX).optional().describe("Groups that must exist"),
  servers: z.array(Entry).max(OBJECTS_MAX).optional().describe("As create_mcp_server takes them"),
  agents: z.array(Entry).max(OBJECTS_MAX).optional().describe("As create_agent takes them, and `status`"),
  policies: z.array(Entry).max(OBJECTS_MAX).optional().describe("As create_policy takes them"),
});

export type Configuration = z.output<typeof ConfigurationField>;
export type Entry = z.output<typeof Entry>;

const DEPTH_MAX = 64;

/**
 * Throws `invalid_input` where the configuration holds a reference to a variable or a file: those are resolved on the caller's
 * machine. Resolved here they would hand out what this process may read.
 */
export function refuseReferences(value: unknown, path = "configuration", depth = 0): void {
  if (typeof value !== "object" || value === null || depth > DEPTH_MAX) return;
  for (const [name, member] of Object.entries(value)) {
    if (name === "$env" || name === "$file") {
      const message = `\`${path}\` is a reference (\`${name}\`), which the server does not resolve; use \`runlayer apply\`, which resolves it where it runs`;
      throw new AppError("invalid_input", message, { details: { field: path } });
    }
    refuseReferences(member, `${path}.${name}`, depth + 1);
  }
}

/** Throws `invalid_input` where a kind names an object twice: which of the two is meant cannot be told. */
export function refuseRepeats(configuration: Configuration): void {
  for (const kind of ["servers", "agents", "policies"] as const) {
    const names = (configuration[kind] ?? []).map(({ name }) => name);
    const repeated = names.find((name, index) => names.indexOf(name) !== index);
    if (repeated === undefined) continue;
    throw new AppError("invalid_input", `\`configuration.${kind}\` names \`${repeated}\` twice; keep one`, {
      details: { field: `configuration.${kind}` },
    });
  }
}
