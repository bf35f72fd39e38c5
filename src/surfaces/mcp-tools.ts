import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import { escapeHidden } from "../lib/escape-hidden.ts";
import type { AppError } from "../lib/errors.ts";
import { escapeForeign } from "../operations/as-written.ts";
import type { Answer, Operation } from "../operations/define-operation.ts";
import { errorSchema, inputSchema, outputSchema } from "./json-schemas.ts";

/** An operation as an MCP tool. */
export function toTool(operation: Operation): Tool {
  const { name, title, description, effect } = operation;
  return {
    name,
    title,
    description,
    inputSchema: toWire(inputSchema(operation)),
    outputSchema: withError(operation),
    annotations: {
      title,
      readOnlyHint: effect === "read",
      destructiveHint: effect === "destroy",
      // Removing or revoking twice is one removal; a repeated creation is a conflict rather than a second object.
      idempotentHint: effect !== "write",
      openWorldHint: false,
    },
  };
}

/** Clients check structured content against the output schema even in an error, so the schema admits both. */
function withError(operation: Operation): Tool["outputSchema"] {
  const { properties, required, ...rest } = outputSchema(operation);
  const { additionalProperties: _, ...others } = rest;
  return toWire({
    ...others,
    type: "object",
    properties: { ...properties, error: errorSchema },
    anyOf: [{ required }, { required: ["error"] }],
  });
}

/** A copy in plain JSON. */
function toWire(schema: { readonly type: "object"; readonly [keyword: string]: unknown }): Tool["inputSchema"] {
  return { ...schema, type: "object" };
}

/** The text holds our own words; strings from outside are in the structured content only, made visible. */
export function toResult({ output, summary }: Answer, operation: Operation): CallToolResult {
  const structuredContent = toStructured(escapeForeign(output, operation.output));
  return { content: [{ type: "text", text: summary }], structuredContent };
}

export function toErrorResult({ code, message, details }: AppError): CallToolResult {
  const error = { code, message, ...(details === undefined ? {} : { details }) };
  return {
    isError: true,
    content: [{ type: "text", text: `${code}: ${message}` }],
    structuredContent: toStructured(escapeHidden({ error })),
  };
}

function toStructured(escaped: unknown): Record<string, unknown> {
  return typeof escaped === "object" && escaped !== null ? { ...escaped } : {};
}
