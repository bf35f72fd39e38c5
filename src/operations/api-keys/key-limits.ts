import type { ApiKey } from "../../domain/api-key.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { isRangeWithin, parseIpRange, type IpRange } from "../../lib/ip.ts";
import type { HandleContext } from "../context.ts";

type Limits = Pick<ApiKey, "allowedIps" | "expiresAt">;

/**
 * Throws `forbidden` where a key would make one that works where or when it does not itself: whoever holds it for a while would
 * hold it for good. An owner key renews without regard to its own expiry (docs/decisions/keys-made-by-keys.md).
 */
export async function refuseWiderLimits(made: Limits, { caller, repositories }: HandleContext): Promise<void> {
  if (caller.actor.type !== "key") return;
  const maker = await repositories.apiKeys.get(caller.actor.id);
  if (!isWithinAddresses(made, maker)) {
    throw refusal(
      "allowedIps",
      `this key works from \`${maker.allowedIps.join(", ")}\` only, and so must what it makes; give \`allowedIps\` within these`,
    );
  }
  const { expiresAt } = maker;
  if (expiresAt === null || caller.role === "owner") return;
  if (made.expiresAt !== null && made.expiresAt <= expiresAt) return;
  throw refusal(
    "expiresAt",
    `this key expires at \`${toRfc3339(expiresAt)}\` and makes none that outlives it; give an \`expiresAt\` up to then, or ask an owner`,
  );
}

/** No address at all means every address. */
function isWithinAddresses(made: Limits, maker: Limits): boolean {
  if (maker.allowedIps.length === 0) return true;
  const outer = toRanges(maker);
  return (
    made.allowedIps.length > 0 && toRanges(made).every((inner) => outer.some((range) => isRangeWithin(inner, range)))
  );
}

function toRanges({ allowedIps }: Limits): readonly IpRange[] {
  return allowedIps.map(parseIpRange).filter((range) => range !== undefined);
}

function refusal(field: string, message: string): AppError {
  return new AppError("forbidden", message, { details: { field } });
}
