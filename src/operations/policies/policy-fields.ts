import { z } from "zod";
import { AUDIT_PAYLOADS } from "../../domain/organization.ts";
import { CONDITION_OPERATORS, POLICY_ACTIONS, POLICY_EFFECTS, POLICY_MODES } from "../../domain/policy.ts";
import { NameField, RefField, RoleField, text, TimeField } from "../fields.ts";

const Refs = z.array(RefField).max(1000);

const principalFields = {
  everyone: z.boolean().optional().describe("Every agent"),
  agents: Refs.optional().describe("Agents, by id or name"),
  agentTypes: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be an agent type such as `cursor`"))
    .max(100)
    .optional()
    .describe("Types of agents"),
  groups: Refs.optional().describe("Groups of the agent or of its member; a new name makes a group"),
  members: Refs.optional().describe("Members whom the agent acts for, by id or email"),
  roles: z.array(RoleField).optional().describe("Roles of that member"),
};

const resourceFields = {
  everything: z.boolean().optional().describe("Every server"),
  servers: Refs.optional().describe("Servers, by id or name"),
  groups: Refs.optional().describe("Groups of servers; a new name makes a group"),
  tools: z
    .array(z.string().min(1).max(512))
    .max(1000)
    .optional()
    .describe("Tools: `delete_*`, `github/*`, `trait:destructive` or `trait:read-only`"),
  skills: Refs.optional().describe("Skills, by id or name; or servers and tools, or these"),
};

const Scalar = z.union([z.string().max(4096), z.number(), z.boolean(), z.null()]);

/** Fields that a policy is created and changed with. */
export const policyFields = {
  name: NameField.describe("Unique name"),
  description: text(2000).describe("What it is for"),
  effect: z
    .enum(POLICY_EFFECTS)
    .describe("`deny` wins over the others; `require_approval` holds a call until a person approves it"),
  mode: z.enum(POLICY_MODES).describe("`monitor` decides and counts without applying; `enforce` unless told"),
  principals: z
    .strictObject({
      ...principalFields,
      except: z.strictObject(principalFields).optional().describe("Takes out who matches any of these"),
    })
    .describe("Whom it is about: fields and values are alternatives"),
  resources: z
    .strictObject({
      ...resourceFields,
      except: z.strictObject(resourceFields).optional().describe("Takes out what matches these"),
    })
    .describe("What it is about: (`everything`, `servers` or `groups`) and `tools`; or `skills`"),
  actions: z
    .array(z.enum(POLICY_ACTIONS))
    .max(POLICY_ACTIONS.length)
    .describe("`any` unless told for a deny, `call_tool` and `run_skill` for the others"),
  conditions: z
    .array(
      z.strictObject({
        field: z
          .string()
          .min(1)
          .max(1000)
          .describe(
            "`args.<path>`, `context.ip`, `context.time`, `context.weekday`, `context.client`, `tool.name`, `agent.type` or `member.email`",
          ),
        operator: z.enum(CONDITION_OPERATORS).describe("How the field is compared"),
        value: z
          .union([Scalar, z.array(Scalar).max(1000)])
          .optional()
          .describe("What it is compared with; a list for `in`, `not_in` and `in_cidr`"),
      }),
    )
    .max(100)
    .describe("All must hold, tested in this order"),
  cedar: z
    .string()
    .min(1)
    .describe("One policy as Cedar text instead of effect, principals, resources, actions and conditions"),
  audit: z
    .enum(AUDIT_PAYLOADS)
    .describe("How much of matching calls' arguments is recorded; the most protective of several wins"),
  expiresAt: TimeField.describe("From then on it applies no more, RFC 3339"),
};

export type PrincipalsInput = z.output<typeof policyFields.principals>;
export type ResourcesInput = z.output<typeof policyFields.resources>;

/** What a policy says, as a caller writes it. */
export const ruleInput = {
  effect: policyFields.effect.optional(),
  principals: policyFields.principals.optional(),
  resources: policyFields.resources.optional(),
  actions: policyFields.actions.optional(),
  conditions: policyFields.conditions.optional(),
  cedar: policyFields.cedar.optional(),
};

export type RuleInput = z.output<z.ZodObject<typeof ruleInput>>;

export const confirmField = z
  .boolean()
  .optional()
  .describe("Set true for a rule that would cut off every agent; leave out to see its impact");
