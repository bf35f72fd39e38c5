import { toCanonicalJson } from "../../lib/canonical-json.ts";
import type { ToolCall, ToolCaller, ToolCallOutcome } from "../runner/ports.ts";
import type { RecordedToolCall } from "./test-case.ts";

/** Tools that answer what was recorded, each recording once, and remember what nobody asked for. */
export interface RecordedTools extends ToolCaller {
  readonly unused: () => readonly RecordedToolCall[];
}

export function createRecordedTools(recorded: readonly RecordedToolCall[]): RecordedTools {
  const left = [...recorded];
  const approved = new Set<RecordedToolCall>();
  return {
    async callTool(call): Promise<ToolCallOutcome> {
      const found = left.find((each) => isSame(each, call));
      if (found === undefined) return noRecording(call);
      if (found.needsApproval === true && !approved.has(found)) {
        approved.add(found);
        return { status: "held", approvalId: `${found.server}/${found.tool}` };
      }
      left.splice(left.indexOf(found), 1);
      if (found.error !== undefined) return { status: "refused", error: found.error, wasSent: true };
      return { status: "success", json: JSON.stringify(found.result ?? null) };
    },
    // What was recorded is nobody's secret.
    recheck: async () => undefined,
    unused: () => left,
  };
}

function isSame(recorded: RecordedToolCall, { server, tool, argumentsJson }: ToolCall): boolean {
  if (recorded.server !== server || recorded.tool !== tool) return false;
  return (
    recorded.arguments === undefined ||
    toCanonicalJson(recorded.arguments) === toCanonicalJson(JSON.parse(argumentsJson))
  );
}

function noRecording({ server, tool, argumentsJson }: ToolCall): ToolCallOutcome {
  const message = `no recorded answer is left for \`${server}/${tool}\` with ${argumentsJson.slice(0, 300)}`;
  return { status: "refused", error: { code: "not_found", message }, wasSent: false };
}
