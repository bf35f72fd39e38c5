import { join } from "node:path";
import { expect, test } from "vitest";
import { TEST_OPERATIONS } from "../../test/harness/surface.ts";
import type { Operation } from "../operations/define-operation.ts";
import { OPERATIONS } from "../operations/index.ts";
import { buildCli } from "./cli/build-cli.ts";
import { inputSchema, outputSchema } from "./json-schemas.ts";
import { toTool } from "./mcp-tools.ts";
import { toOpenApi } from "./openapi.ts";
import { toRoute } from "./routes.ts";

const ALL = TEST_OPERATIONS.map((operation) => [operation.name, operation] as const);
const document = toOpenApi(TEST_OPERATIONS, "0.0.0-test");

interface OpenApiOperation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly schema: unknown; readonly required: boolean }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: BodySchema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema: unknown }>> }>
  >;
}

interface BodySchema {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly required: readonly string[];
}

function openApiOf(operation: Operation): OpenApiOperation {
  const { path, method } = toRoute(operation);
  const found: unknown = document.paths[path]?.[method.toLowerCase()];
  if (!isOpenApiOperation(found)) throw new Error(`${operation.name} is not in the document`);
  return found;
}

function isOpenApiOperation(value: unknown): value is OpenApiOperation {
  return typeof value === "object" && value !== null && "operationId" in value && "responses" in value;
}

test.each(ALL)("%s has one input and one output on MCP and REST", (_name, operation) => {
  const tool = toTool(operation);
  const input = inputSchema(operation);
  expect(tool.inputSchema).toEqual(input);
  const { parameters, requestBody, responses } = openApiOf(operation);
  const body = requestBody?.content["application/json"]?.schema;
  const rest = { ...Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])), ...body?.properties };
  expect(rest).toEqual(input.properties);
  const required = [
    ...parameters.filter((parameter) => parameter.required).map(({ name }) => name),
    ...(body?.required ?? []),
  ];
  expect(required.toSorted()).toEqual([...input.required].toSorted());
  expect(responses["200"]?.content["application/json"]?.schema).toEqual(outputSchema(operation));
  expect(tool.outputSchema?.["properties"]).toMatchObject(outputSchema(operation).properties);
});

test.each(ALL)("%s takes the same fields on the command line", (_name, operation) => {
  const process = { env: {}, print: () => {}, printError: () => {}, confirm: undefined };
  const program = buildCli({ operations: TEST_OPERATIONS, version: "0", process, setExitCode: () => {} });
  const [group = "", verb = ""] = operation.command.split(" ");
  const command = program.commands
    .find((candidate) => candidate.name() === group)
    ?.commands.find((candidate) => candidate.name() === verb);
  const named = command?.options.filter((option) => !option.negate).map((option) => option.attributeName()) ?? [];
  const positional = command?.registeredArguments.map((argument) => argument.name()) ?? [];
  const input = inputSchema(operation);
  expect([...named, ...positional].filter((name) => name !== "json").toSorted()).toEqual(
    Object.keys(input.properties).toSorted(),
  );
});

test.each(OPERATIONS.map((operation) => [operation.name, operation] as const))(
  "%s describes each of its fields",
  (_name, operation) => {
    for (const [field, schema] of Object.entries(inputSchema(operation).properties)) {
      expect(schema.description, field).toBeTruthy();
    }
  },
);

test("no two operations share a name, a route or a command", () => {
  for (const key of ["name", "route", "command"] as const) {
    expect(new Set(OPERATIONS.map((operation) => operation[key])).size).toBe(OPERATIONS.length);
  }
});

test("docs/openapi.json is current (`npx vitest run src/surfaces/faces.test.ts -u` writes it)", async () => {
  const text = `${JSON.stringify(toOpenApi(OPERATIONS, "0.1.0"), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(join(import.meta.dirname, "../../docs/openapi.json"));
});
