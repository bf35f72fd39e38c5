import { STATUS_CODES } from "node:http";
import { ERROR_STATUS } from "../lib/errors.ts";
import type { Operation } from "../operations/define-operation.ts";
import { inputSchema, outputSchema, type ObjectSchema } from "./json-schemas.ts";
import { API_ROOT, toRoute, type Route } from "./routes.ts";

/** The OpenAPI 3.1 document of the REST face; its schemas are those of the operations. */
export function toOpenApi(operations: readonly Operation[], version: string) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const route = toRoute(operation);
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: toOperationObject(operation, route) };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Runlayer",
      version,
      description: "Manages the MCP servers, agents, policies, keys and skills of an organization.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: API_ROOT }],
    security: [{ organizationKey: [] }],
    paths,
    components: {
      securitySchemes: {
        organizationKey: { type: "http", scheme: "bearer", description: "An organization key (`rl_org_…`)" },
      },
      schemas: { Problem: PROBLEM },
    },
  };
}

const PROBLEM = {
  type: "object",
  description: "RFC 9457 problem document",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: Object.keys(ERROR_STATUS) },
    detail: { type: "string" },
    details: { type: "object" },
    correlationId: { type: "string" },
  },
  required: ["type", "title", "status", "code", "detail", "correlationId"],
} as const;

function toOperationObject(operation: Operation, route: Route) {
  const { properties, required } = inputSchema(operation);
  const fields = Object.entries(properties).filter(([name]) => !route.parameters.includes(name));
  const isQuery = route.fieldsFrom !== "body";
  return {
    operationId: operation.name,
    summary: operation.title,
    description: operation.description,
    tags: [operation.command.split(" ")[0]],
    "x-runlayer-effect": operation.effect,
    "x-runlayer-roles": operation.roles,
    parameters: [
      ...route.parameters.map((name) => ({ name, in: "path", required: true, schema: properties[name] ?? {} })),
      ...(isQuery
        ? fields.map(([name, schema]) => ({ name, in: "query", required: required.includes(name), schema }))
        : []),
    ],
    ...(isQuery ? {} : { requestBody: toRequestBody(inputSchema(operation), route) }),
    responses: {
      "200": { description: "Done", content: { "application/json": { schema: outputSchema(operation) } } },
      ...errorResponses(),
    },
  };
}

function toRequestBody(schema: ObjectSchema, { parameters }: Route) {
  const properties = Object.entries(schema.properties).filter(([name]) => !parameters.includes(name));
  const required = schema.required.filter((name) => !parameters.includes(name));
  return {
    required: required.length > 0,
    content: { "application/json": { schema: { ...schema, properties: Object.fromEntries(properties), required } } },
  };
}

function errorResponses() {
  const content = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  const entries = Object.entries(ERROR_STATUS).map(([code, status]) => [
    String(status),
    { description: `\`${code}\`: ${STATUS_CODES[status] ?? ""}`, content },
  ]);
  return Object.fromEntries(entries);
}
