import { membersAt, membersLike, textAt, valueAt, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { Member } from "./envelope/json-scanner.ts";
import { RPC_CODES } from "./rpc-refusal.ts";
import type { Edit } from "./splice.ts";

const OWN_CODES: ReadonlySet<number> = new Set([RPC_CODES.denied, RPC_CODES.approvalPending, RPC_CODES.unavailable]);

/**
 * An upstream cannot speak for the gateway: an error with the code of a denial, a hold or an outage of ours says that a call was
 * not sent, and whoever believes it sends the call again; `data` of a type of ours says why, and whom to ask.
 */
export function disownError({ bytes, error }: ResponseEnvelope): Edit[] {
  if (error === undefined) return [];
  const isOwnCode = (code: Member): boolean => OWN_CODES.has(Number(valueAt(bytes, code)));
  const codes = membersLike(error, "code").filter(isOwnCode);
  const data = membersLike(error, "data").filter((member) => isOwnData(bytes, member));
  return [
    ...codes.map(({ start, end }) => ({ start, end, text: String(RPC_CODES.internalError) })),
    ...data.map(({ start, end }) => ({ start, end, text: "null" })),
  ];
}

function isOwnData(bytes: Buffer, data: Member): boolean {
  const types = membersLike({ members: membersAt(bytes, data) }, "type");
  return types.some((type) => textAt(bytes, type)?.startsWith("runlayer.") === true);
}
