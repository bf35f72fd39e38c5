import { z } from "zod";
import { type Finding, type FindingHandling, findingStatus } from "../../domain/finding.ts";
import { GUARDIANS } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext } from "../context.ts";
import { createdBy } from "../created-by.ts";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField, text, TimeField } from "../fields.ts";
import { requireVersion } from "../require-version.ts";
import { FindingOutput, showFinding } from "./sweep-output.ts";

const Input = z.object({
  id: RefField.describe("Finding, by id, as get_scan_results shows it"),
  status: z
    .enum(["open", "acknowledged", "suppressed"])
    .optional()
    .describe(
      "`acknowledged`: somebody looks after it; `suppressed`: accepted, with a reason; `open`: neither. `resolved` is for scans to say",
    ),
  owner: RefField.nullable().optional().describe("Member who answers for it, by id or email; null for nobody"),
  reason: text(1000).min(1).nullable().optional().describe("Why; a suppression needs one"),
  expiresAt: TimeField.nullable().optional().describe("When a suppression ends by itself, RFC 3339"),
  expectedVersion: ExpectedVersionField,
});

type Input = z.output<typeof Input>;

/** Acknowledges or suppresses a finding, or opens it again. */
export const updateFinding = defineOperation({
  name: "update_finding",
  title: "Update finding",
  description:
    "Acknowledges a finding, suppresses it with a reason and an end, or opens it again, and names who answers for it. It stays in the results of scans; only a scan that no longer sees it resolves it. Returns the finding.",
  route: "PATCH /findings/{id}",
  command: "findings update",
  roles: GUARDIANS,
  effect: "write",
  action: "finding.update",
  input: Input,
  output: z.object({ finding: FindingOutput }),
  async handle(input, context) {
    const { repositories } = context;
    const finding = await repositories.findings.get(input.id);
    requireVersion(finding, input.expectedVersion);
    if (finding.status === "resolved") {
      throw new AppError("conflict", "this finding is resolved; it opens by itself if a scan sees it again");
    }
    const changed = await applyChange(finding, input, context);
    await repositories.findings.save(changed);
    return { finding: showFinding(changed, context) };
  },
  event: ({ finding }) => ({
    resource: { type: "finding", id: finding.id, name: finding.code },
    details: {
      status: finding.status,
      owner: finding.handling?.owner ?? null,
      reason: finding.handling?.reason ?? null,
      expiresAt: finding.handling?.expiresAt ?? null,
    },
  }),
  summarize: ({ finding }) => `Finding ${finding.id} (${finding.code}) is ${finding.status}.`,
});

async function applyChange(finding: Finding, input: Input, context: HandleContext): Promise<Finding> {
  const { caller, now } = context;
  const status = input.status ?? findingStatus(finding, now);
  // A reason and an end belong to the status that they were given for.
  const before = status === finding.status ? finding.handling : null;
  const handling: FindingHandling = {
    by: createdBy(caller),
    at: now,
    owner: await ownerOf(finding, input, context),
    reason: orBefore(input.reason, before?.reason),
    expiresAt: orBefore(input.expiresAt, before?.expiresAt),
  };
  checkHandling(handling, status, now);
  return { ...finding, status, handling, version: finding.version + 1 };
}

async function ownerOf({ handling }: Finding, { owner }: Input, { repositories }: HandleContext) {
  if (owner === undefined || owner === null) return orBefore(owner, handling?.owner);
  return (await repositories.members.get(owner)).id;
}

function checkHandling({ reason, expiresAt }: FindingHandling, status: Finding["status"], now: number): void {
  if (status === "suppressed" && reason === null) throw fault("reason", "a suppression needs a `reason`");
  if (expiresAt === null) return;
  if (status !== "suppressed") {
    throw fault("expiresAt", "`expiresAt` belongs to a suppression; set `status` to `suppressed`");
  }
  if (expiresAt <= now) throw fault("expiresAt", "`expiresAt` is in the past; give a later time");
}

/** Null clears, undefined keeps. */
function orBefore<T>(given: T | null | undefined, before: T | null | undefined): T | null {
  return given === undefined ? (before ?? null) : given;
}

function fault(field: string, message: string): AppError {
  return new AppError("invalid_input", message, { details: { field } });
}
