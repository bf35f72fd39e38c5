import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aDraft, anAgent, anOrganization, aPolicy, aServer, toUnplaced } from "../../../test/harness/entities.ts";
import { randomBytes } from "node:crypto";
import { systemClock } from "../../lib/clock.ts";
import { parseRule } from "../../policy/parse-policy.ts";
import { withPolicy } from "../../policy/policy-index.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
import { createLiveView } from "../../snapshot/live-view.ts";
import { openStore } from "../../store/open-store.ts";
import { createMasterKey } from "../../vault/envelope.ts";
import { createVault } from "../../vault/vault.ts";
import { replayCalls } from "./replay-impact.ts";

const CALLS = 60_000;

test("replays the newest 50 000 of more recorded calls while a person waits", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-replay-"));
  const store = await openStore({ dataDir, clock: systemClock });
  try {
    const server = aServer({ sealedSecrets: "" });
    const assignment = { serverId: server.id, tools: null, resources: null, prompts: null };
    const agent = anAgent({ assignments: [assignment] });
    const now = Date.now();
    await store.transaction(async (tx) => {
      await tx.organization.insert(anOrganization());
      await tx.servers.insert(server);
      await tx.agents.insert(agent);
      const events = Array.from({ length: CALLS }, (_, index) =>
        toUnplaced(
          aDraft({
            time: now - CALLS + index,
            actor: { type: "agent", id: agent.id, name: agent.name, ip: "10.0.0.1" },
            resource: { type: "tool", id: `${server.id}/pay`, name: `${server.name}/pay` },
            details: {
              server: { id: server.id, name: server.name },
              tool: "pay",
              arguments: { amount: index % 100, note: "x".repeat(400) },
            },
          }),
        ),
      );
      await tx.audit.append(events, 1);
    });
    const view = await createLiveView({
      store,
      vault: createVault(createMasterKey(randomBytes(32))),
      onProblem: (error) => expect.unreachable(String(error)),
    });
    const rule = {
      effect: "deny",
      principals: { everyone: true },
      resources: { tools: ["pay"] },
      conditions: [{ field: "args.amount", operator: "gte", value: 90 }],
    } as const;
    const snapshot = view.current;
    const settings = snapshot.organization.settings;
    const before = { index: snapshot.policies, settings };
    const { ast, cedar } = parseRule(rule);
    const after = { index: withPolicy(snapshot.policies, toCompiledPolicy(aPolicy({ ast, cedar, rule }))), settings };
    let longestMs = 0;
    let last = performance.now();
    const watch = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 5);
    const started = performance.now();
    const found = await replayCalls({ before, after, snapshot, now, read: (work) => store.read(work) });
    const tookMs = performance.now() - started;
    clearInterval(watch);
    expect(found).toMatchObject({ replayed: 50_000, newlyDenied: 5_000, newlyAllowed: 0, undetermined: 0 });
    expect(found.examples[0]).toMatchObject({ agent: agent.name, server: server.name, tool: "pay" });
    // Two seconds is the promise on a machine of its own; the machine of this test is shared.
    expect(tookMs).toBeLessThan(5_000);
    process.stdout.write(
      `replayed 50 000 calls in ${tookMs.toFixed(0)} ms, longest pause ${longestMs.toFixed(0)} ms\n`,
    );
  } finally {
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
