import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { parseEnvelope } from "./envelope/envelope.ts";
import { openHandles, toolOfTask } from "./handles.ts";
import { createIssuedTasks } from "./issued-tasks.ts";
import { RpcRefusal } from "./rpc-refusal.ts";
import { createSealer } from "./seal.ts";

const scope = { agentId: "agt_1", serverId: "srv_1" };

function keeper() {
  return { sealer: createSealer(randomBytes(32)), issuedTasks: createIssuedTasks() };
}

function cancel(taskId: string) {
  return parseEnvelope(
    Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tasks/cancel", params: { taskId } })),
  );
}

test("takes a task of an unknown tool for none", () => {
  const own = keeper();
  const sealed = own.sealer.seal("task", scope, "\nt-1");
  expect(toolOfTask(sealed, scope, own)).toBeUndefined();
  expect(() => openHandles(cancel(sealed), scope, own)).toThrow(RpcRefusal);
});

test("knows a task again by its handle after a restart", () => {
  const own = keeper();
  const sealed = own.sealer.seal("task", scope, "build\nt-1");
  expect(toolOfTask(sealed, scope, own)).toBe("build");
  expect(openHandles(cancel(sealed), scope, own)).toMatchObject([{ text: '"t-1"' }]);
  expect(own.issuedTasks.toolOf(scope, "t-1")).toBe("build");
  expect(own.issuedTasks.toolOf({ ...scope, agentId: "agt_2" }, "t-1")).toBeUndefined();
});
