import { expect, test } from "vitest";
import { aServer } from "../../test/harness/entities.ts";
import { targetOf } from "./policy-targets.ts";
import type { ServerView } from "./snapshot.ts";

function aView(): ServerView {
  const secrets = () => ({ credential: { type: "none" }, headers: {}, env: {}, args: [] }) as const;
  return { server: aServer(), secrets, toolByName: new Map(), absentTools: [] };
}

const tool = (name: string) => ({ type: "tool", name }) as const;

test("keeps the server and tools that are asked for again", () => {
  const view = aView();
  const server = { type: "server", name: view.server.name } as const;
  expect(targetOf(view, server)).toBe(targetOf(view, server));
  expect(targetOf(view, tool("read"))).toBe(targetOf(view, tool("read")));
  expect(targetOf(view, tool("read")).isLasting).toBe(true);
});

test("keeps no long name, and of invented ones only the latest", () => {
  const view = aView();
  const long = tool("x".repeat(1_000_000));
  expect(targetOf(view, long).isLasting).toBe(false);
  expect(targetOf(view, long)).not.toBe(targetOf(view, long));
  const first = targetOf(view, tool("tool-0"));
  for (let number = 1; number < 1_000; number += 1) targetOf(view, tool(`tool-${number}`));
  expect(targetOf(view, tool("tool-0"))).not.toBe(first);
});
