import type { z } from "zod";
import { AppError } from "../lib/errors.ts";

const ISSUES_MAX = 20;

/** One error for all that is wrong with an input: a sentence, and each fault with its field. Never repeats a value: it may be a secret. */
export function toInvalidInput(error: z.ZodError): AppError {
  const issues = error.issues.slice(0, ISSUES_MAX).flatMap(toFieldIssues);
  const message = issues.map((issue) => `${issue.field === "" ? "input" : `\`${issue.field}\``}: ${issue.message}`);
  return new AppError("invalid_input", message.join("; "), { details: { issues } });
}

interface FieldIssue {
  readonly field: string;
  readonly message: string;
}

function toFieldIssues(issue: z.core.$ZodIssue): FieldIssue[] {
  const field = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.slice(0, ISSUES_MAX).map((key) => ({
      field: field === "" ? toSafeName(key) : `${field}.${toSafeName(key)}`,
      message: "unknown field; check the spelling or leave it out",
    }));
  }
  return [{ field, message: toLowerFirst(issue.message) }];
}

/** A field name comes from the caller: bounded and without invisible characters. */
function toSafeName(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 80);
}

function toLowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
