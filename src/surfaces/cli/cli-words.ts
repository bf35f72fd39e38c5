import type { Operation } from "../../operations/define-operation.ts";
import { inputSchema } from "../json-schemas.ts";
import { toKebabCase } from "./fields.ts";

/** A field in a message, and the value to give it. Names of objects have no capitals: such a word can only be a field. */
const FIELD = /`(\w*[A-Z]\w*|confirm(?=: true))(?:: true)?`(?: to `true`)?/g;
// What stands in backticks is a name.
const OPERATION = /(?<!`)\b[a-z]+(?:_[a-z]+)+\b(?!`)/g;

/** A server's message in words of the command line: fields of the operation as options, operations as commands. */
export function toCliWords(message: string, operation: Operation, operations: readonly Operation[]): string {
  const { properties } = inputSchema(operation);
  return message
    .replaceAll(FIELD, (whole, name: string) =>
      Object.hasOwn(properties, name) ? `\`--${toKebabCase(name)}\`` : whole,
    )
    .replaceAll(OPERATION, (word) => {
      const named = operations.find(({ name }) => name === word);
      return named === undefined ? word : `\`runlayer ${named.command}\``;
    });
}
