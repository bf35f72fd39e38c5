import { expect, test } from "vitest";
import { createClientTasks } from "./client-tasks.ts";

const alice = { agentId: "agt_1", serverId: "srv_1", sessionId: "ses_1" };

test("knows a task in its session alone", () => {
  const tasks = createClientTasks();
  tasks.remember(alice, "t-1");
  expect(tasks.has(alice, "t-1")).toBe(true);
  for (const other of [{ agentId: "agt_2" }, { serverId: "srv_2" }, { sessionId: "ses_2" }, { sessionId: undefined }])
    expect(tasks.has({ ...alice, ...other }, "t-1")).toBe(false);
});

test("forgets the oldest of an agent that names too many, and none of another's", () => {
  const tasks = createClientTasks();
  const bob = { ...alice, agentId: "agt_2" };
  for (const scope of [alice, bob]) tasks.remember(scope, "t-1");
  for (let count = 2; count <= 1001; count += 1) tasks.remember(alice, `t-${count}`);
  tasks.remember(alice, "x".repeat(10_000));
  expect(["t-1", "t-2", "t-1001", "x".repeat(10_000)].map((id) => tasks.has(alice, id))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect(tasks.has(bob, "t-1")).toBe(true);
});
