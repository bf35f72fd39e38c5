import { randomBytes } from "node:crypto";
import type { Store } from "../store/ports.ts";
import { sealedKeyId } from "../vault/envelope.ts";
import type { Vault } from "../vault/vault.ts";

const NAME = "sealed.api-key-pepper";
const PEPPER_BYTES = 32;
const PEPPER_CONTEXT = { table: "values", id: NAME, version: 1 } as const;

/** The secret under which API keys are hashed: made once, sealed in the vault, so that rotating the master key keeps every key valid. */
export async function loadPepper(store: Store, vault: Vault): Promise<Buffer> {
  const sealed = await store.read((repositories) => repositories.values.find(NAME));
  if (sealed !== undefined) return parsePepper(vault.open(sealed, PEPPER_CONTEXT));
  const pepper = randomBytes(PEPPER_BYTES);
  const fresh = vault.seal(pepper.toString("base64"), PEPPER_CONTEXT);
  await store.transaction((repositories) => repositories.values.set(NAME, fresh));
  return pepper;
}

/** The id of the master key that the database is sealed under; undefined before the first start. */
export async function findMasterKeyId(store: Store): Promise<string | undefined> {
  const sealed = await store.read((repositories) => repositories.values.find(NAME));
  return sealed === undefined ? undefined : sealedKeyId(sealed);
}

function parsePepper(value: unknown): Buffer {
  if (typeof value !== "string") throw new Error("invariant violated: the sealed pepper is text");
  return Buffer.from(value, "base64");
}
