import { isSpecType } from "@modelcontextprotocol/client";

/** Whether the SDK takes it as the result of `tools/call` in a conversation of this revision. */
export function isToolResult(result: unknown, isModern: boolean): boolean {
  if (!isSpecType.CallToolResult(result)) return false;
  if (!isModern) return isAbsentOrObject(result.structuredContent);
  // 2026-07-28: each result says of what kind it is, content may not be left out, and structured content is any value.
  const { content, resultType, inputRequests, requestState } = { ...result };
  if (resultType === "input_required") return isFilled(inputRequests) || typeof requestState === "string";
  return resultType === "complete" && Array.isArray(content);
}

function isAbsentOrObject(value: unknown): boolean {
  return value === undefined || isObject(value);
}

function isFilled(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length > 0;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
