import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Client } from "@modelcontextprotocol/client";
import { z } from "zod";
import { call, connect, manage } from "./clients.ts";
import type { Scene } from "./story.ts";

const FORMAT_DATE = resolve(import.meta.dirname, "../examples/skills/format-date");
const TOOL = "skill__format-date";
const ASK_MS = 100;

const Shown = z.object({
  skill: z.object({ usageCount: z.object({ total: z.int(), byAgent: z.array(z.object({ name: z.string() })) }) }),
});
const Approvals = z.object({ items: z.array(z.object({ id: z.string() })) });
const Nothing = z.object({});

/** One skill that both agents use, changed under their open connections, then held for a person. */
export async function sharedSkill(scene: Scene, writerKey: string, operatorKey: string): Promise<void> {
  const { stage, say } = scene;
  say.chapter("A skill is written once and used by both agents");
  const code = await createSkill(scene);
  const writer = await connect(`${stage.url}/gateway/mcp`, writerKey);
  const operator = await connect(`${stage.url}/gateway/mcp`, operatorKey);
  try {
    const texts = [await format(writer), await format(operator)];
    say.claim(
      texts.every((text) => text === '{"text":"2026-03-01"}'),
      `${TOOL}: both get ${texts.join(" and ")}`,
    );
    await changeSkill(scene, { code, operator });
    await holdSkill(scene, operator);
  } finally {
    await writer.close();
    await operator.close();
  }
}

async function createSkill({ admin }: Scene): Promise<string> {
  const code = readFileSync(join(FORMAT_DATE, "skill.js"), "utf8");
  const { inputSchema } = z
    .object({ inputSchema: z.record(z.string(), z.unknown()) })
    .parse(JSON.parse(readFileSync(join(FORMAT_DATE, "skill.json"), "utf8")));
  const input = { name: "format-date", description: "Formats a date", code, inputSchema };
  await manage(admin, { tool: "create_skill", input, output: Nothing });
  return code;
}

async function changeSkill(
  { say, admin }: Scene,
  { code, operator }: { readonly code: string; readonly operator: Client },
): Promise<void> {
  const { skill } = await manage(admin, { tool: "get_skill", input: { id: "format-date" }, output: Shown });
  const agents = skill.usageCount.byAgent.map(({ name }) => name).toSorted((left, right) => (left < right ? -1 : 1));
  say.claim(
    skill.usageCount.total === 2,
    `get_skill counts ${skill.usageCount.total} uses, by ${agents.join(" and ")}`,
  );
  const input = { id: "format-date", code: code.replace('input.style ?? "iso"', 'input.style ?? "long"') };
  await manage(admin, { tool: "update_skill", input, output: Nothing });
  const text = await format(operator);
  say.claim(text === '{"text":"1 March 2026"}', `after update_skill the same connection gets ${text}`);
}

async function holdSkill({ say, admin }: Scene, operator: Client): Promise<void> {
  const input = {
    name: "ask-before-dates",
    effect: "require_approval",
    principals: { agents: ["operator-bot"] },
    resources: { skills: ["format-date"] },
  };
  await manage(admin, { tool: "create_policy", input, output: Nothing });
  const held = format(operator);
  const id = await findApproval(admin);
  await manage(admin, { tool: "decide_approval", input: { id, decision: "approve" }, output: Nothing });
  say.claim((await held).includes("March"), "a policy holds its next run; it goes on when a person has approved it");
}

async function format(client: Client): Promise<string> {
  const end = await call(client, TOOL, { date: "2026-03-01" });
  return end.kind === "answered" ? end.text : end.message;
}

async function findApproval(admin: Client): Promise<string> {
  for (;;) {
    const { items } = await manage(admin, { tool: "list_approvals", input: {}, output: Approvals });
    const [approval] = items;
    if (approval !== undefined) return approval.id;
    await new Promise((wake) => setTimeout(wake, ASK_MS));
  }
}
