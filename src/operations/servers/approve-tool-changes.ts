import { z } from "zod";
import type { ServerTool } from "../../domain/server.ts";
import { approveTool } from "../../domain/tool-definition.ts";
import { AppError } from "../../lib/errors.ts";

/** Everything that waits, or named tools at the digest that was reviewed. */
export const ToolApprovals = z
  .union([
    z.literal(true),
    z
      .array(
        z.strictObject({
          tool: z.string().min(1).max(256),
          digest: z
            .string()
            .regex(/^[0-9a-f]{64}$/, "must be a digest as get_mcp_server shows it: 64 of `0-9` and `a-f`"),
        }),
      )
      .min(1)
      .max(1000),
  ])
  .describe("Accept changed and unreviewed tools: all (`true`), or those named with the digest that was reviewed");

/** The tools with these changes accepted; absent ones stay as they are, because nobody was shown them. Throws where a tool is unknown, or has changed since it was reviewed. */
export function approveToolChanges(
  known: readonly ServerTool[],
  approvals: z.output<typeof ToolApprovals>,
): readonly ServerTool[] {
  const tools = known.filter(({ absentSince }) => absentSince === null);
  const absent = known.filter(({ absentSince }) => absentSince !== null);
  if (approvals === true) return [...tools.map(approveTool), ...absent];
  const digestByTool = new Map(approvals.map(({ tool, digest }) => [tool, digest]));
  const unknown = approvals.find(({ tool }) => !tools.some(({ name }) => name === tool));
  if (unknown !== undefined)
    throw new AppError("not_found", "`approveToolChanges` names a tool that the server does not have");
  const approved = tools.map((tool) => {
    const digest = digestByTool.get(tool.name);
    if (digest === undefined) return tool;
    if (digest !== (tool.pending?.digest ?? tool.digest)) {
      throw new AppError("conflict", "a tool in `approveToolChanges` is at another digest now; review it again", {
        details: { digest: tool.pending?.digest ?? tool.digest },
      });
    }
    return approveTool(tool);
  });
  return [...approved, ...absent];
}
