import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import type { UpstreamFault } from "../upstream.ts";
import type { ChannelListener, MessageChannel } from "./message-channel.ts";
import { SharedChildren } from "./shared-child.ts";
import { StdioChannel, type BridgedChild } from "./stdio-channel.ts";

const MB = 1024 * 1024;
const CONFIGURATION = { endpoint: "", digest: "", secretsVersion: 1 };
const never = new Promise<BridgedChild>(() => undefined);

test.each([
  ["of its own", (listener: ChannelListener): MessageChannel => new StdioChannel(never, listener)],
  [
    "that it shares",
    (listener: ChannelListener): MessageChannel => {
      const children = new SharedChildren({ clock: systemClock, idleMs: 1000, onProblem: () => undefined });
      return children.connect(
        { serverId: "s", configuration: CONFIGURATION, label: "s", start: () => never },
        listener,
      );
    },
  ],
])("keeps a session's messages for a child %s that does not start up to a bound", (_, connect) => {
  const faults: UpstreamFault[] = [];
  const channel = connect({ message: () => undefined, closed: (fault) => void faults.push(fault) });
  let waiting = 0;
  const send = (bytes: number): void => {
    waiting += bytes;
    channel.send(Buffer.alloc(bytes, " "), () => (waiting -= bytes));
  };
  for (let count = 0; count < 4; count += 1) send(4 * MB);
  expect([faults, waiting]).toEqual([[], 16 * MB]);
  send(1);
  expect(faults).toMatchObject([{ kind: "unavailable" }]);
  send(1);
  expect(waiting).toBe(0);
});

test("keeps a session's messages for a child that does not start up to a number", () => {
  const faults: UpstreamFault[] = [];
  const channel = new StdioChannel(never, { message: () => undefined, closed: (fault) => void faults.push(fault) });
  for (let count = 0; count < 1001; count += 1) channel.send(Buffer.from("{}"));
  expect(faults).toHaveLength(1);
});
