import { isSpecType } from "@modelcontextprotocol/client";

/** Whether the SDK takes it as the result of `tools/call`, in the revision that it is written in. */
export function isToolResult(result: unknown): boolean {
  if (!isSpecType.CallToolResult(result)) return false;
  // Of 2026-07-28 are the member that says what kind of result it is, and structured content that is no object.
  return result["resultType"] !== undefined || isAbsentOrObject(result.structuredContent);
}

function isAbsentOrObject(value: unknown): boolean {
  return value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value));
}
