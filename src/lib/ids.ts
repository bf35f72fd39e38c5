import { randomUUIDv7 } from "node:crypto";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A new UUIDv7 (RFC 9562 §5.7): ids sort by the time they were made. */
export function newId(): string {
  return randomUUIDv7();
}

export function isUuid(text: string): boolean {
  return UUID.test(text);
}
