import { DEFAULT_SETTINGS, type Organization } from "../domain/organization.ts";
import { type ApiKey, type KeyOrigin, toKeyHint } from "../domain/api-key.ts";
import { NEVER_USED } from "../domain/key-use.ts";
import type { Member } from "../domain/member.ts";
import { AppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import type { Repositories, Store } from "../store/ports.ts";
import { generateApiKey, hashApiKey } from "./api-key-format.ts";
import { HOST_ACTOR, toHostEvent } from "./host-event.ts";

const BOOTSTRAP_NAME = "bootstrap";
const FIRST_KEY_NAME = "first-owner";

/** Makes the organization and its first owner where there are none. */
export async function ensureOrganization(store: Store, now: number): Promise<void> {
  const organization = await store.read((repositories) => repositories.organization.find());
  if (organization === undefined) await store.transaction((repositories) => foundOrganization(repositories, now));
}

export interface FirstKeyOptions {
  readonly store: Store;
  readonly pepper: Buffer;
  /** `RUNLAYER_BOOTSTRAP_KEY`. */
  readonly bootstrapKey: string | undefined;
  readonly now: number;
}

/**
 * Makes the first owner key of an organization that has no key. Gives it if it was generated: nothing shows it again, so the caller
 * MUST print it at once. A key given by environment is never given back. Throws `invalid_input` for a bootstrap key that may not be used.
 */
export async function ensureFirstKey(options: FirstKeyOptions): Promise<string | undefined> {
  const { store, pepper, bootstrapKey, now } = options;
  const known = await store.read(({ apiKeys }) => apiKeys.list({ now }, { limit: 1 }));
  if (known.items.length > 0 && bootstrapKey === undefined) return undefined;
  return store.transaction(async (repositories) => {
    const context = { repositories, pepper, now };
    if (bootstrapKey !== undefined) return acceptBootstrapKey(bootstrapKey, context);
    return (await createOwnerKey({ name: FIRST_KEY_NAME, origin: "first-start" }, context)).secret;
  });
}

interface KeyContext {
  readonly repositories: Repositories;
  readonly pepper: Buffer;
  readonly now: number;
}

/** An owner key with the secret itself, which is shown once. */
interface NewKey {
  readonly key: ApiKey;
  readonly secret: string;
}

export interface HostKeyOptions extends Pick<FirstKeyOptions, "store" | "pepper" | "now"> {
  readonly name: string;
}

/**
 * Makes an owner key on the host, beside the running of any server, and the organization where there is none. Gives the key. No first
 * key is made beside it: nobody would ever have seen that one, and it would pass for another way in.
 */
export async function createHostKey({ store, pepper, now, name }: HostKeyOptions): Promise<NewKey> {
  return store.transaction(async (repositories) => {
    if ((await repositories.organization.find()) === undefined) await foundOrganization(repositories, now);
    return createOwnerKey({ name, origin: "host" }, { repositories, pepper, now });
  });
}

async function createOwnerKey(
  { name, origin }: { readonly name: string; readonly origin: KeyOrigin },
  context: KeyContext,
): Promise<NewKey> {
  const secret = generateApiKey("organization");
  return { key: await insertOwnerKey(secret, { name, origin }, context), secret };
}

async function foundOrganization(repositories: Repositories, now: number): Promise<void> {
  const organization: Organization = {
    id: newId(),
    name: "My organization",
    settings: DEFAULT_SETTINGS,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
  const owner: Member = {
    id: newId(),
    email: "owner@localhost",
    name: "First owner",
    role: "owner",
    status: "active",
    source: "local",
    groups: [],
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
  await repositories.organization.insert(organization);
  await repositories.members.insert(owner);
  const resource = { type: "organization", id: organization.id, name: organization.name };
  await repositories.audit.stage(
    toHostEvent("organization.create", resource, { now, details: { owner: owner.email } }),
  );
}

/** Who answers for a key that nobody with a key made: the oldest owner who is not suspended. */
async function findActingOwner({ members }: Repositories): Promise<Member | undefined> {
  const { items } = await members.list({ role: "owner" }, { limit: 200 });
  return items.find(({ status }) => status !== "suspended");
}

/** The same value again is a no-op, another one is refused, and a revoked one never revives (contract section 2). */
async function acceptBootstrapKey(key: string, context: KeyContext): Promise<undefined> {
  const known = await context.repositories.apiKeys.findByHash(hashApiKey(key, context.pepper));
  if (known !== undefined) return;
  const earlier = await context.repositories.apiKeys.find(BOOTSTRAP_NAME);
  if (earlier !== undefined) {
    throw new AppError(
      "invalid_input",
      "RUNLAYER_BOOTSTRAP_KEY: differs from the bootstrap key of the first start; remove it, and make new keys with create_api_key or `npx runlayer keys create`",
    );
  }
  await insertOwnerKey(key, { name: BOOTSTRAP_NAME, origin: "bootstrap" }, context);
}

async function insertOwnerKey(
  secret: string,
  { name, origin }: { readonly name: string; readonly origin: KeyOrigin },
  { repositories, pepper, now }: KeyContext,
): Promise<ApiKey> {
  const owner = await findActingOwner(repositories);
  const key: ApiKey = {
    id: newId(),
    name,
    kind: "organization",
    origin,
    hash: hashApiKey(secret, pepper),
    hint: toKeyHint(secret, "organization"),
    description: null,
    role: "owner",
    agentId: null,
    memberId: owner?.id ?? null,
    allowedIps: [],
    createdBy: HOST_ACTOR,
    createdAt: now,
    expiresAt: null,
    revoked: null,
    ...NEVER_USED,
    version: 1,
  };
  await repositories.apiKeys.insert(key);
  const resource = { type: "apiKey", id: key.id, name: key.name };
  await repositories.audit.stage(toHostEvent("key.create", resource, { now, details: { role: key.role, origin } }));
  return key;
}
