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
  const inOptions = message.replaceAll(FIELD, (whole, name: string) =>
    Object.hasOwn(properties, name) ? `\`--${toKebabCase(name)}\`` : whole,
  );
  return toCommandWords(inOptions, operations);
}

/** The same for a command that has no options of the operation's: operations alone. */
export function toCommandWords(message: string, operations: readonly Operation[]): string {
  return message.replaceAll(OPERATION, (word) => {
    const named = operations.find(({ name }) => name === word);
    return named === undefined ? word : `\`runlayer ${named.command}\``;
  });
}
