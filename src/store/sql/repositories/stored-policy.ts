import { z } from "zod";
import { AUDIT_PAYLOADS } from "../../../domain/organization.ts";
import {
  CONDITION_OPERATORS,
  POLICY_ACTIONS,
  POLICY_EFFECTS,
  POLICY_MODES,
  type Policy,
} from "../../../domain/policy.ts";
import type { PolicyTable } from "../schema.ts";
import { storedForeignText } from "./foreign-text.ts";
import { toStoredText } from "./stored-text.ts";
import { jsonText, storedNames, toJsonOrNull } from "./json-text.ts";

const list = z.array(z.string()).optional();

const principals = z.object({
  everyone: z.boolean().optional(),
  agents: list,
  agentTypes: list,
  groups: list,
  members: list,
  roles: list,
});

const resources = z.object({
  everything: z.boolean().optional(),
  servers: list,
  groups: list,
  tools: list,
  skills: list,
});

const rule = z.object({
  principals: principals.extend({ except: principals.optional() }),
  resources: resources.extend({ except: resources.optional() }),
  actions: z.array(z.enum(POLICY_ACTIONS)).optional(),
  conditions: z
    .array(z.object({ field: z.string(), operator: z.enum(CONDITION_OPERATORS), value: z.unknown().optional() }))
    .optional(),
});

const storedPolicy = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  effect: z.enum(POLICY_EFFECTS),
  mode: z.enum(POLICY_MODES),
  rule: jsonText(rule).nullable(),
  cedar: storedForeignText,
  ast: jsonText(z.unknown()),
  mentions: storedNames,
  audit: z.enum(AUDIT_PAYLOADS).nullable(),
  expiresAt: z.number().nullable(),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

/** Throws for a row that no version of this program can have written. */
export function toPolicy(row: PolicyTable): Policy {
  return storedPolicy.parse(row);
}

export function toPolicyRow(policy: Policy): PolicyTable {
  return {
    ...policy,
    rule: toJsonOrNull(policy.rule),
    cedar: toStoredText(policy.cedar),
    ast: JSON.stringify(policy.ast),
    mentions: JSON.stringify(policy.mentions),
  };
}
