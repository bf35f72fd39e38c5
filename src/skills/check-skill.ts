import { parse, type Program } from "acorn";
import { AppError } from "../lib/errors.ts";
import { parseSkillDocument } from "./package/frontmatter.ts";
import { formatSkillDocument, OWN_FILES, type SkillFunction, type SkillPackage } from "./package/skill-package.ts";
import { checkSkillFiles } from "./package/skill-files.ts";
import { CODE_BYTES_MAX, SCHEMA_BYTES_MAX } from "./sandbox/limits.ts";
import { checkSchemaItself, SchemaError } from "./sandbox/schema-check.ts";

/** Throws `invalid_input` or `payload_too_large`, naming the field, for a skill that could never be served or run. */
export function checkSkill(skill: SkillPackage): void {
  parseSkillDocument(formatSkillDocument(skill.document));
  checkSkillFiles(skill.files);
  const own = skill.files.find(({ path }) => OWN_FILES.has(path));
  if (own !== undefined)
    throw fault("files", `holds \`${own.path}\`, which is made of the other fields; give those instead`);
  if (skill.function !== undefined) checkFunction(skill.function);
}

function checkFunction({ code, inputSchema, outputSchema }: SkillFunction): void {
  if (Buffer.byteLength(code) > CODE_BYTES_MAX)
    throw new AppError("payload_too_large", `\`code\` is longer than ${CODE_BYTES_MAX} bytes`);
  const program = parseModule(code);
  const hasFunction = program.body.some(({ type }) => type === "ExportDefaultDeclaration");
  if (!hasFunction && !/\bas\s+default\b/.test(code))
    throw fault("code", "has no `export default` function; see docs/skills.md");
  checkSchemas({ inputSchema, outputSchema });
}

/** The same of the schemas alone. Compiling one can take a second, once: they are checked before anybody waits for the rest. */
export function checkSchemas({ inputSchema, outputSchema }: Schemas): void {
  checkSchema("inputSchema", inputSchema);
  checkSchema("outputSchema", outputSchema);
}

type Schema = Readonly<Record<string, unknown>>;

interface Schemas {
  readonly inputSchema?: Schema | null | undefined;
  readonly outputSchema?: Schema | null | undefined;
}

function parseModule(code: string): Program {
  try {
    return parse(code, { ecmaVersion: "latest", sourceType: "module" });
  } catch (error) {
    if (error instanceof RangeError) throw fault("code", "nests too deeply");
    if (!(error instanceof SyntaxError)) throw error;
    const [, message = error.message, line = "?", column = "?"] = /^(.*) \((\d+):(\d+)\)$/.exec(error.message) ?? [];
    throw new AppError(
      "invalid_input",
      `\`code\` is no ES module: line ${line}, column ${column}: ${message.toLowerCase()}`,
      {
        details: { field: "code", line: Number(line) },
      },
    );
  }
}

function checkSchema(field: string, schema: Schema | null | undefined): void {
  if (schema === undefined || schema === null) return;
  const json = JSON.stringify(schema);
  if (Buffer.byteLength(json) > SCHEMA_BYTES_MAX)
    throw new AppError("payload_too_large", `\`${field}\` is longer than ${SCHEMA_BYTES_MAX} bytes`);
  try {
    checkSchemaItself(json);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw fault(field, `is no usable JSON Schema: ${error.message.slice(0, 300)}`);
  }
}

function fault(field: string, problem: string): AppError {
  return new AppError("invalid_input", `\`${field}\` ${problem}`, { details: { field } });
}
