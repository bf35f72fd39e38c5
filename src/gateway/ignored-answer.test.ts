import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { IGNORED_BYTES_MAX, sendIgnoringAnswer } from "./ignored-answer.ts";
import type { Upstream, UpstreamSink } from "./upstream.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test.each([
  ["has ended", (told: Told) => told.end(), { faults: [undefined], aborts: 0 }],
  ["goes on and on", (told: Told) => told.data(), { faults: [undefined], aborts: 1 }],
  ["does not come", () => vi.advanceTimersByTime(10_000), { faults: [{ kind: "timeout" }], aborts: 1 }],
])("is done with an answer once that %s", (...[, tell, { faults, aborts }]) => {
  const { upstream, told } = farEnd();
  const done: unknown[] = [];
  sendIgnoringAnswer(upstream, { method: "POST", headers: [] }, (fault) => done.push(fault));
  vi.advanceTimersByTime(9_999);
  expect(done).toEqual([]);
  tell(told);
  vi.advanceTimersByTime(60_000);
  expect(done).toMatchObject(faults);
  expect(told.aborts).toBe(aborts);
});

interface Told {
  readonly aborts: number;
  end(): void;
  data(): void;
}

/** A server that answers when the test says so. */
function farEnd(): { readonly upstream: Upstream; readonly told: Told } {
  const sinks: UpstreamSink[] = [];
  let aborts = 0;
  const call = { abort: () => void (aborts += 1), pause: () => undefined, resume: () => undefined };
  const upstream: Upstream = {
    send(_, sink) {
      sinks.push(sink);
      return call;
    },
  };
  const told: Told = {
    get aborts() {
      return aborts;
    },
    end: () => sinks[0]?.end(),
    data: () => sinks[0]?.data(Buffer.alloc(IGNORED_BYTES_MAX + 1)),
  };
  return { upstream, told };
}
