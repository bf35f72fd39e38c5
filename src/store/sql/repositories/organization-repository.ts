import { z } from "zod";
import { NOTIFICATION_EVENTS } from "../../../domain/notifications.ts";
import {
  AUDIT_DURABILITIES,
  AUDIT_PAYLOADS,
  DEFAULT_SETTINGS,
  type Organization,
  SKILL_APPROVALS,
  SKILL_RISK_ACTIONS,
} from "../../../domain/organization.ts";
import { AppError } from "../../../lib/errors.ts";
import type { OrganizationRepository } from "../../ports.ts";
import type { OrganizationTable } from "../schema.ts";
import type { RepositoryContext } from "./context.ts";
import { jsonText } from "./json-text.ts";
import type { Noun } from "../../../domain/not-found.ts";
import { staleSave, taken } from "./refusals.ts";

const NOUN: Noun = { singular: "organization", listedBy: "get_organization" };

const storedOrganization = z.object({
  id: z.string(),
  name: z.string(),
  settings: jsonText(
    z.object({
      auditPayloads: z.enum(AUDIT_PAYLOADS),
      auditDurability: z.enum(AUDIT_DURABILITIES),
      // Settings that schema 1 did not have.
      assignmentGrantsAccess: z.boolean().default(DEFAULT_SETTINGS.assignmentGrantsAccess),
      timeZone: z.string().default(DEFAULT_SETTINGS.timeZone),
      approvalTtlMinutes: z.number().default(DEFAULT_SETTINGS.approvalTtlMinutes),
      skillRiskAction: z
        .object({ critical: z.enum(SKILL_RISK_ACTIONS), high: z.enum(SKILL_RISK_ACTIONS) })
        .default(DEFAULT_SETTINGS.skillRiskAction),
      skillApproval: z.enum(SKILL_APPROVALS).default(DEFAULT_SETTINGS.skillApproval),
      notifications: z
        .object({
          url: z.string(),
          events: z.array(z.enum(NOTIFICATION_EVENTS)),
          allowPrivateNetwork: z.boolean(),
          secretHint: z.string(),
        })
        .nullable()
        .default(null),
    }),
  ),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export class SqlOrganizationRepository implements OrganizationRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(): Promise<Organization> {
    const found = await this.find();
    if (found !== undefined) return found;
    throw new AppError("not_found", "this installation has no organization yet; start the server once");
  }

  async find(): Promise<Organization | undefined> {
    const row = await this.#context.db.selectFrom("organizations").selectAll().executeTakeFirst();
    return row === undefined ? undefined : storedOrganization.parse(row);
  }

  async insert(organization: Organization): Promise<void> {
    const existing = await this.find();
    if (existing !== undefined) throw taken(NOUN, "name", existing.name);
    await this.#context.db.insertInto("organizations").values(toRow(organization)).execute();
    this.#context.touch({ kind: "organization", id: organization.id });
  }

  async save(organization: Organization): Promise<void> {
    const { db, touch } = this.#context;
    const { numUpdatedRows } = await db
      .updateTable("organizations")
      .set(toRow(organization))
      .where("id", "=", organization.id)
      .where("version", "=", organization.version - 1)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) throw staleSave(NOUN, organization, (await this.find())?.version);
    touch({ kind: "organization", id: organization.id });
  }
}

function toRow(organization: Organization): OrganizationTable {
  return { ...organization, settings: JSON.stringify(organization.settings) };
}
