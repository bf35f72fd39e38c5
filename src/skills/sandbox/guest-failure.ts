import { ERROR_STATUS, type ErrorCode } from "../../lib/errors.ts";
import { SKILL_FILE } from "./compile-skill.ts";
import { limitExceeded, type RunError } from "./run-error.ts";

/** How a run failed, and the refused call whose error the skill let through, if it says so. */
export interface GuestFailure {
  readonly error: RunError;
  readonly refusedCall?: number | undefined;
}

/** Codes a skill may give to its own failure. Others would claim something about Runlayer itself. */
const OWN_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "invalid_input",
  "not_found",
  "conflict",
  "upstream_error",
  "unavailable",
]);

const STACK_LINES_MAX = 10;
const LINE_LENGTH_MAX = 200;

/**
 * Turns what ended a run into an error of the closed set: the prelude's report of a thrown value (JSON text), or an
 * exception of the engine itself, which means that it ran out of memory or stack.
 */
export function toGuestFailure(reason: unknown): GuestFailure {
  if (typeof reason !== "string") return { error: engineFailure(reason) };
  const report = parseReport(reason);
  if (report.name === "InternalError" && report.message === "out of memory") return { error: OUT_OF_MEMORY };
  const stack = skillLines(report.stack);
  if (report.refused !== "") {
    return {
      error: { code: toCode(report.code), message: report.message, stack },
      refusedCall: Number(report.refused),
    };
  }
  const thrown = report.name === "" ? report.message : `${report.name}: ${report.message}`;
  return { error: { code: toCode(report.code), message: `the skill threw \`${thrown}\``, stack } };
}

const OUT_OF_MEMORY = limitExceeded("memoryBytes", "the skill used more memory than a run may have");

function engineFailure(reason: unknown): RunError {
  const message = reason instanceof Error ? reason.message : String(reason);
  const isStack = reason instanceof RangeError || message.includes("stack");
  return isStack ? limitExceeded("stack", "the skill recursed deeper than a run may") : OUT_OF_MEMORY;
}

interface Report {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly stack: string;
  readonly refused: string;
}

function parseReport(json: string): Report {
  const report: unknown = JSON.parse(json);
  const field = (name: string): string => {
    if (typeof report !== "object" || report === null) return "";
    const value: unknown = Object.getOwnPropertyDescriptor(report, name)?.value;
    return typeof value === "string" ? value : "";
  };
  return {
    name: field("name"),
    message: field("message"),
    code: field("code"),
    stack: field("stack"),
    refused: field("refused"),
  };
}

function toCode(code: string): ErrorCode {
  return isErrorCode(code) && OWN_CODES.has(code) ? code : "upstream_error";
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}

function skillLines(stack: string): readonly string[] | undefined {
  const lines = stack
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at ") && line.includes(`${SKILL_FILE}:`))
    .slice(0, STACK_LINES_MAX)
    .map((line) => line.slice(0, LINE_LENGTH_MAX));
  return lines.length === 0 ? undefined : lines;
}
