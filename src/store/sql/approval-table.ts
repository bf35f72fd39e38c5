/** A held call: what is asked for is in columns, the rest in `call` as JSON text. */
export interface ApprovalTable {
  readonly id: string;
  readonly status: string;
  readonly bindingHash: string;
  readonly agentId: string;
  readonly serverId: string;
  readonly call: string;
  readonly requestedAt: number;
  readonly expiresAt: number;
  readonly decision: string | null;
  readonly usedAt: number | null;
  readonly version: number;
}
