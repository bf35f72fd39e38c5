import { z } from "zod";
import type { ApiKey } from "../../domain/api-key.ts";
import { NEVER_USED } from "../../domain/key-use.ts";
import { GUARDIANS, isRoleWithin, type Role } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import { parseIpRange } from "../../lib/ip.ts";
import type { Member } from "../../domain/member.ts";
import type { Caller, HandleContext } from "../context.ts";
import { createdBy } from "../created-by.ts";
import { defineOperation } from "../define-operation.ts";
import { NameField, RefField, RoleField, text, TimeField } from "../fields.ts";
import { refuseWiderLimits } from "./key-limits.ts";
import { ApiKeyOutput, showApiKey } from "./key-output.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const DAYS_MAX = 3650;

const Input = z.object({
  name: NameField.describe("Unique name"),
  role: RoleField.describe("What the key may do; at most what the caller may"),
  member: RefField.optional().describe(
    "Member who answers for it, by id or email; the caller's own member unless told",
  ),
  description: text(2000).optional().describe("What it is for"),
  expiresAt: TimeField.optional().describe("When it stops, RFC 3339"),
  expiresInDays: z.int().min(1).max(DAYS_MAX).optional().describe("When it stops, in days from now"),
  allowedIps: z
    .array(
      z
        .string()
        .max(64)
        .refine((ip) => parseIpRange(ip) !== undefined, "must be an IP address or a CIDR range"),
    )
    .max(100)
    .optional()
    .describe("Addresses or CIDR ranges it may be used from; anywhere unless told"),
});

type Input = z.output<typeof Input>;

/** Makes an organization key, for management. */
export const createApiKey = defineOperation({
  name: "create_api_key",
  title: "Create API key",
  description:
    "Makes an organization key for the management API, MCP endpoint or CLI. The key itself is in `secret`, shown only in this answer. A key that is kept to addresses makes only keys within them, and one that expires (but an owner's) none that outlives it. Agents get their keys from create_agent.",
  route: "POST /api-keys",
  command: "api-keys create",
  roles: GUARDIANS,
  effect: "write",
  isCreation: true,
  secrets: ["secret"],
  action: "key.create",
  input: Input,
  output: z.object({ apiKey: ApiKeyOutput, secret: z.string().optional().describe("The key; shown only here") }),
  async handle(input, context) {
    const { repositories, services, caller, now } = context;
    refuseEscalation(input.role, caller.role);
    const { secret, hash, hint } = services.keys.create("organization");
    const key: ApiKey = {
      id: services.newId(),
      name: input.name,
      kind: "organization",
      origin: "operation",
      hash,
      hint,
      description: input.description ?? null,
      role: input.role,
      agentId: null,
      memberId: await responsibleMember(input, context),
      allowedIps: input.allowedIps ?? [],
      createdBy: createdBy(caller),
      createdAt: now,
      expiresAt: toExpiry(input, now),
      revoked: null,
      ...NEVER_USED,
      version: 1,
    };
    await refuseWiderLimits(key, context);
    await repositories.apiKeys.insert(key);
    return { apiKey: await showApiKey(key, context), secret };
  },
  event: ({ apiKey }) => ({
    resource: { type: "apiKey", id: apiKey.id, name: apiKey.name },
    details: {
      role: apiKey.role,
      expiresAt: apiKey.expiresAt,
      allowedIps: apiKey.allowedIps,
      member: apiKey.member?.id ?? null,
    },
  }),
  summarize: ({ apiKey }) =>
    `Key \`${apiKey.name}\` (${apiKey.id}) with role ${apiKey.role ?? "none"} is made; it is shown once, in \`secret\`.`,
});

function refuseEscalation(role: Role, ceiling: Role): void {
  if (isRoleWithin(role, ceiling)) return;
  throw new AppError(
    "forbidden",
    `a caller with role \`${ceiling}\` grants no key with role \`${role}\`; ask somebody who has it`,
    {
      details: { field: "role" },
    },
  );
}

/** A key never does more than the member who answers for it. */
async function responsibleMember(input: Input, { repositories, caller }: HandleContext): Promise<string | null> {
  if (input.member === undefined) {
    // Whoever makes a key answers for it, a weaker one too: without that, its holder could decide their maker's approvals. To answer
    // for it lends it nothing (docs/decisions/answering-for-a-key.md).
    return caller.memberId;
  }
  const member = await repositories.members.get(input.member);
  refuseForeignMember(member, caller);
  if (isRoleWithin(input.role, member.role)) return member.id;
  throw new AppError(
    "forbidden",
    `member \`${member.email}\` has role \`${member.role}\`, which does not reach \`${input.role}\``,
    {
      details: { field: "member" },
    },
  );
}

/** A key that somebody else answers for would let its maker decide approvals of its own agents in that person's name. */
function refuseForeignMember(member: Member, caller: Caller): void {
  const mayName = caller.role === "owner" || caller.role === "admin";
  if (member.id === caller.memberId || (mayName && isRoleWithin(member.role, caller.role))) return;
  throw new AppError("forbidden", `a caller with role \`${caller.role}\` makes no key that this member answers for`, {
    details: { field: "member" },
  });
}

function toExpiry({ expiresAt, expiresInDays }: Input, now: number): number | null {
  if (expiresAt !== undefined && expiresInDays !== undefined) {
    throw new AppError("invalid_input", "give `expiresAt` or `expiresInDays`, not both", {
      details: { field: "expiresAt" },
    });
  }
  if (expiresInDays !== undefined) return now + expiresInDays * DAY_MS;
  if (expiresAt === undefined) return null;
  if (expiresAt > now) return expiresAt;
  throw new AppError("invalid_input", "`expiresAt` is in the past; give a later time", {
    details: { field: "expiresAt" },
  });
}
