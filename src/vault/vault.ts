import { openText, sealText, type MasterKey } from "./envelope.ts";

/** Where a sealed record belongs. It is authenticated with the record, so that rows cannot be swapped or rolled back. */
export interface SealContext {
  readonly table: string;
  readonly id: string;
  readonly version: number;
}

/** Seals secrets for the database and opens them for use in memory. */
export interface Vault {
  seal(value: unknown, context: SealContext): string;
  /** The value as it was sealed, still to be parsed. Throws where the record was tampered with. */
  open(sealed: string, context: SealContext): unknown;
}

export function createVault(masterKey: MasterKey): Vault {
  return {
    seal: (value, context) => sealText(JSON.stringify(value), toAdditionalData(context), masterKey),
    open: (sealed, context) => {
      const value: unknown = JSON.parse(openText(sealed, toAdditionalData(context), masterKey));
      return value;
    },
  };
}

function toAdditionalData({ table, id, version }: SealContext): string {
  return JSON.stringify([table, id, version]);
}
