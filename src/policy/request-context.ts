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
 * What policies see as `context`. A member is made when a policy first reads it: a call has two contexts (its own, and that of
 * `connect`), and most policies read nothing of either.
 */
export class RequestContext implements CedarRecord {
  readonly kind = "record";
  readonly #circumstances: Circumstances;
  #args: Value | undefined;
  #kinds: Value | undefined;
  #ip: { readonly value: Value | undefined } | undefined;

  constructor(circumstances: Circumstances) {
    this.#circumstances = circumstances;
  }

  get(name: string): Value | undefined {
    switch (name) {
      case "args":
        return (this.#args ??= toCedarArgument(this.#json()));
      case "kinds":
        return (this.#kinds ??= argumentKinds(() => this.#json()));
      case "time":
        return this.#circumstances.minuteOfDay;
      case "weekday":
        return this.#circumstances.weekday;
      case "now":
        return { kind: "datetime", ms: this.#circumstances.nowMs };
      case "ip":
        return (this.#ip ??= { value: toAddress(this.#circumstances.ip) }).value;
      case "client":
        return this.#circumstances.client;
      default:
        return undefined;
    }
  }

  names(): readonly string[] {
    return NAMES.filter((name) => this.get(name) !== undefined);
  }

  #json(): unknown {
    return this.#circumstances.args?.() ?? {};
  }
}

function toAddress(text: string | undefined): Value | undefined {
  const range = text === undefined ? undefined : parseIpRange(text);
  return range === undefined || isFailure(range) ? undefined : range;
}
