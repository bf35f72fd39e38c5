import { z } from "zod";
import { KEY_KINDS } from "../../domain/api-key.ts";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RoleField, toPageAnswer, toPageRequest } from "../fields.ts";
import { ApiKeyOutput, showApiKey } from "./key-output.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Every key with who made it, who uses it and when. */
export const listApiKeys = defineOperation({
  name: "list_api_keys",
  title: "List API keys",
  description:
    "Lists API keys of the organization, its agents and devices with role, creator, last use (time, address, count), expiry and flags (`unused`: not used for 90 days, `expiring`: within 14 days, and of the last 7 days `new_ip`: used from an address it was not used from before, `denied_burst`: 10 denials within about a minute), oldest first. Never shows a key.",
  route: "GET /api-keys",
  command: "api-keys list",
  roles: READERS,
  effect: "read",
  input: z.object({
    status: z.enum(["active", "expired", "revoked"]).optional().describe("Only keys with this status"),
    role: RoleField.optional().describe("Only organization keys with this role"),
    kind: z.enum(KEY_KINDS).optional().describe("Only keys of this kind"),
    unusedForDays: z.int().min(1).max(3650).optional().describe("Only keys not used for so many days"),
    query: QueryField,
    ...pageInput,
  }),
  output: pageOutput(ApiKeyOutput),
  async handle(input, context) {
    const { repositories, now } = context;
    const { status, role, kind, query, unusedForDays } = input;
    const unusedSince = unusedForDays === undefined ? undefined : now - unusedForDays * DAY_MS;
    const page = await repositories.apiKeys.list({ status, role, kind, query, unusedSince, now }, toPageRequest(input));
    const items = await Promise.all(page.items.map((key) => showApiKey(key, context)));
    return toPageAnswer({ ...page, items }, (key) => key);
  },
  summarize: ({ items, total }) => `${items.length} of ${total} keys.`,
});
