import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import type { SkillFailure, SkillResult } from "./ports.ts";
import type { ServingSkill } from "./skill-decision.ts";
import { toSkillToolName } from "./tool-names.ts";

/** The function of a skill as a tool; nothing for a skill without one. */
export function toSkillTool({ skill, serving }: ServingSkill): Tool[] {
  const { description, function: declared, servers } = serving.content;
  if (declared === undefined) return [];
  const { inputSchema, outputSchema } = declared;
  const isAlone = servers.length === 0;
  return [
    {
      name: toSkillToolName(skill.name),
      title: skill.name,
      description,
      // MCP takes objects only; what else a schema says, the sandbox checks.
      inputSchema: { ...inputSchema, type: "object" },
      ...(outputSchema?.["type"] === "object" ? { outputSchema: { ...outputSchema, type: "object" } } : {}),
      // Without servers it can do nothing but compute; with them it can do what their tools can.
      annotations: isAlone
        ? { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false }
        : {},
    },
  ];
}

/** What a run came to, as the answer to the call of its tool. */
export function toResult(result: SkillResult): CallToolResult {
  if (result.status !== "completed") return toErrorResult(result.error);
  const { output } = result;
  const isObject = typeof output === "object" && output !== null && !Array.isArray(output);
  const text = typeof output === "string" ? output : JSON.stringify(output ?? null);
  return {
    content: [{ type: "text", text }],
    ...(isObject ? { structuredContent: Object.fromEntries(Object.entries(output)) } : {}),
  };
}

function toErrorResult({ code, message, details, stack = [] }: SkillFailure): CallToolResult {
  const policies = details?.["policies"];
  const names = Array.isArray(policies) ? policies.flatMap(nameOf) : [];
  const because = names.length === 0 ? "" : ` (policy ${names.map((name) => `\`${name}\``).join(", ")})`;
  const error = { code, message, ...(details === undefined ? {} : { details }) };
  return {
    isError: true,
    content: [{ type: "text", text: [`${code}: ${message}${because}`, ...stack].join("\n") }],
    structuredContent: { error },
  };
}

function nameOf(policy: unknown): string[] {
  const isNamed = typeof policy === "object" && policy !== null && "name" in policy;
  return isNamed && typeof policy.name === "string" ? [policy.name] : [];
}
