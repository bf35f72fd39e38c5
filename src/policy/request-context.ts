import { once } from "../lib/once.ts";
import { argumentKinds } from "./argument-kinds.ts";
import { toCedarArgument } from "./arguments.ts";
import { parseIpRange } from "./ip-range.ts";
import { type CedarRecord, isFailure, type Value } from "./value.ts";

export interface Circumstances {
  /** Asked for only when a policy reads them, and then once. */
  readonly args?: (() => unknown) | undefined;
  readonly ip?: string | undefined;
  readonly client?: string | undefined;
  readonly nowMs: number;
  /** Minutes since midnight, and the day's name in English lower case, both in the organization's time zone. */
  readonly minuteOfDay: number;
  readonly weekday: string;
}

const NAMES = ["args", "kinds", "time", "weekday", "now", "ip", "client"] as const;

/**
 * What policies see as `context`. What takes time to make is made when a policy first reads it: a call has two contexts (its own, and
 * that of `connect`), and most policies read nothing of either.
 */
export function toContext(circumstances: Circumstances): CedarRecord {
  const json = once(() => circumstances.args?.() ?? {});
  const args = once(() => toCedarArgument(json()));
  const kinds = once(() => argumentKinds(json));
  const ip = once(() => toAddress(circumstances.ip));
  const get = (name: string): Value | undefined => {
    switch (name) {
      case "args":
        return args();
      case "kinds":
        return kinds();
      case "time":
        return circumstances.minuteOfDay;
      case "weekday":
        return circumstances.weekday;
      case "now":
        return { kind: "datetime", ms: circumstances.nowMs };
      case "ip":
        return ip();
      case "client":
        return circumstances.client;
      default:
        return undefined;
    }
  };
  return { kind: "record", get, names: () => NAMES.filter((name) => get(name) !== undefined) };
}

function toAddress(text: string | undefined): Value | undefined {
  const range = text === undefined ? undefined : parseIpRange(text);
  return range === undefined || isFailure(range) ? undefined : range;
}
