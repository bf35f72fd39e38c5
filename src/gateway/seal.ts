import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { decodeBase64url } from "../lib/base64url.ts";

/** Handles that upstreams issue. Each kind has its own keys, so that one is never taken for another. */
export type HandleKind = "session" | "event" | "task" | "state" | "cursor" | "approval";

/** Whom a handle was issued to, and by whom. */
export interface HandleScope {
  readonly agentId: string;
  readonly serverId: string;
}

/** Turns the handles of upstreams into ones that only this agent can use, at this server only. */
export interface Sealer {
  /** The same handle always gives the same text, because clients compare task ids. */
  seal(kind: HandleKind, scope: HandleScope, handle: string): string;
  /** Undefined for everything that `seal` did not make for this kind and scope. */
  open(kind: HandleKind, scope: HandleScope, sealed: string): string | undefined;
}

interface Keys {
  readonly encryption: Buffer;
  readonly nonce: Buffer;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Derived keys that are kept; deriving one again costs microseconds. */
const KEYS_MAX = 4096;

/**
 * AES-256-GCM under keys derived for each (kind, agent, server); the nonce is an HMAC of the plain text (as in RFC 5297), so
 * nothing but equality of handles shows and no counter is shared among nodes. `master` MUST be 32 secret bytes.
 */
export function createSealer(master: Buffer): Sealer {
  const cache = new Map<string, Keys>();
  const keysFor = (kind: HandleKind, { agentId, serverId }: HandleScope): Keys => {
    const info = `${kind} ${agentId} ${serverId}`;
    const known = cache.get(info);
    if (known !== undefined) return known;
    if (cache.size >= KEYS_MAX) cache.clear();
    const derived = Buffer.from(hkdfSync("sha256", master, Buffer.alloc(0), `runlayer handle ${info}`, 64));
    const keys = { encryption: derived.subarray(0, 32), nonce: derived.subarray(32) };
    cache.set(info, keys);
    return keys;
  };
  return {
    seal: (kind, scope, handle) => sealText(keysFor(kind, scope), handle),
    open: (kind, scope, sealed) => openText(keysFor(kind, scope), sealed),
  };
}

function sealText({ encryption, nonce }: Keys, text: string): string {
  const iv = createHmac("sha256", nonce).update(text).digest().subarray(0, NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", encryption, iv);
  return Buffer.concat([iv, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]).toString("base64url");
}

function openText({ encryption }: Keys, sealed: string): string | undefined {
  // No longer than the message or header that it came in, so whatever was issued is opened.
  const bytes = decodeBase64url(sealed);
  if (bytes === undefined || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", encryption, bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    decipher.final();
  } catch {
    // The tag does not fit: forged, changed, or issued to another agent.
    return undefined;
  }
  return text.toString("utf8");
}
