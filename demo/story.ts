import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "@modelcontextprotocol/client";
import { z } from "zod";
import { call, callStatus, connect, connectStatus, manage } from "./clients.ts";
import { sharedSkill } from "./skills.ts";
import type { Stage } from "./stage.ts";

/** Prints what happens. A claim that is not true ends the demo with an error. */
export interface Narrator {
  chapter(title: string): void;
  claim(isTrue: boolean, text: string): void;
  line(text: string): void;
}

/** What the story leaves behind for a person to go on with. */
export interface StoryEnd {
  readonly writerKey: string;
  readonly writerConfig: string;
}

/** Who acts where. */
export interface Scene {
  readonly stage: Stage;
  readonly say: Narrator;
  /** The administrator's client on `/mcp`. */
  readonly admin: Client;
}

const NewServer = z.object({
  server: z.object({ gatewayUrl: z.string() }),
  discovery: z.object({ state: z.string(), tools: z.array(z.object({ name: z.string() })) }),
});
const NewAgent = z.object({ key: z.string(), connection: z.object({ config: z.string() }) });
const Events = z.object({
  items: z.array(
    z.object({
      seq: z.int(),
      actor: z.object({ name: z.string() }),
      action: z.string(),
      resource: z.object({ name: z.string() }),
      outcome: z.string(),
      reason: z.string().optional(),
    }),
  ),
});

/** Tells the whole story on a fresh stage. */
export async function tell(stage: Stage, say: Narrator): Promise<StoryEnd> {
  const admin = await connect(`${stage.url}/mcp`, stage.ownerKey);
  try {
    const scene: Scene = { stage, say, admin };
    await registerServers(scene);
    const { writer, operator } = await registerAgents(scene);
    await limitedAgent(scene, writer.key);
    await injectedCredential(scene, operator.key);
    await sharedSkill(scene, writer.key, operator.key);
    await suspension(scene, operator.key);
    await auditTrail(scene, [stage.ownerKey, writer.key, operator.key, stage.upstreamToken]);
    return { writerKey: writer.key, writerConfig: writer.connection.config };
  } finally {
    await admin.close();
  }
}

async function registerServers({ stage, say, admin }: Scene): Promise<void> {
  say.chapter("An administrator's MCP client registers two real servers");
  const files = await manage(admin, {
    tool: "create_mcp_server",
    input: { name: "files", transport: "stdio", ...stage.filesystem, confirm: true },
    output: NewServer,
  });
  const user = stage.stdioUser === undefined ? "" : `, run as \`${stage.stdioUser}\``;
  say.claim(
    files.discovery.state === "ok",
    `files: server-filesystem over stdio${user}, ${files.discovery.tools.length} tools found`,
  );
  const everything = await manage(admin, {
    tool: "create_mcp_server",
    input: {
      name: "everything",
      transport: "streamable-http",
      url: stage.guard.url,
      credential: { type: "bearer", token: stage.upstreamToken },
      allowPrivateNetwork: true,
    },
    output: NewServer,
  });
  say.claim(
    everything.discovery.state === "ok",
    `everything: server-everything over HTTP behind a token, ${everything.discovery.tools.length} tools found`,
  );
}

async function registerAgents({ say, admin }: Scene) {
  say.chapter("Two agents get a key each");
  const writer = await manage(admin, {
    tool: "create_agent",
    input: {
      name: "release-writer",
      type: "claude-code",
      servers: [{ server: "files", tools: ["read_*", "list_*"] }],
    },
    output: NewAgent,
  });
  say.line("release-writer may use read_* and list_* of files, and nothing else");
  const operator = await manage(admin, {
    tool: "create_agent",
    input: { name: "operator-bot", type: "codex", servers: ["files", "everything"] },
    output: NewAgent,
  });
  say.line("operator-bot may use all of files and everything");
  return { writer, operator };
}

async function limitedAgent({ stage, say }: Scene, key: string): Promise<void> {
  say.chapter("release-writer works through the gateway");
  const client = await connect(`${stage.url}/gateway/files/mcp`, key);
  try {
    const { tools } = await client.listTools();
    say.claim(
      tools.length > 0 && tools.every(({ name }) => /^(?:read|list)_/.test(name)),
      `it sees ${tools.length} tools: ${tools.map(({ name }) => name).join(", ")}`,
    );
    const read = await call(client, "read_text_file", { path: join(stage.documents, "release-notes.md") });
    say.claim(
      read.kind === "answered" && read.text.includes("Exports run in the background"),
      "read_text_file release-notes.md: answered with the file",
    );
    const target = join(stage.documents, "overwritten.md");
    const write = await call(client, "write_file", { path: target, content: "x" });
    say.claim(
      write.kind === "refused" && write.code === -32011 && !existsSync(target),
      `write_file overwritten.md: refused, nothing written${write.kind === "refused" ? ` (${write.code} ${write.reason})` : ""}`,
    );
    if (write.kind === "refused") say.line(`the agent is told: ${write.message}`);
  } finally {
    await client.close();
  }
  const status = await connectStatus(`${stage.url}/gateway/everything/mcp`, key);
  say.claim(status === 404, `the server everything does not exist for it: HTTP ${status ?? "let in"}`);
}

async function injectedCredential({ stage, say }: Scene, key: string): Promise<void> {
  say.chapter("operator-bot calls a server whose credential it never sees");
  const direct = await connectStatus(stage.guard.url, "a-guess");
  say.claim(direct === 401, `without the credential the server answers HTTP ${direct ?? "let in"}`);
  const client = await connect(`${stage.url}/gateway/everything/mcp`, key);
  try {
    const sum = await call(client, "get-sum", { a: 19, b: 23 });
    say.claim(sum.kind === "answered" && sum.text.includes("42"), "get-sum 19 23 through the gateway: 42");
    const seen = [...stage.guard.seen];
    say.claim(
      seen.includes(`Bearer ${stage.upstreamToken}`) && seen.every((value) => !value.includes("rl_")),
      "the server was shown its own token, never a key of Runlayer",
    );
  } finally {
    await client.close();
  }
  const files = await connect(`${stage.url}/gateway/files/mcp`, key);
  try {
    const path = join(stage.documents, "changelog.md");
    const write = await call(files, "write_file", { path, content: "2.4 is out\n" });
    say.claim(
      write.kind === "answered" && readFileSync(path, "utf8") === "2.4 is out\n",
      "write_file changelog.md: allowed for this agent, the file is there",
    );
  } finally {
    await files.close();
  }
}

async function suspension({ stage, say, admin }: Scene, key: string): Promise<void> {
  say.chapter("The administrator suspends operator-bot while it is connected");
  const client = await connect(`${stage.url}/gateway/everything/mcp`, key);
  try {
    const before = await callStatus(client, "echo", { message: "still here" });
    say.claim(before === undefined, "echo before: answered");
    const input = { id: "operator-bot", status: "suspended" };
    await manage(admin, { tool: "update_agent", input, output: z.object({}) });
    const after = await callStatus(client, "echo", { message: "still here" });
    say.claim(after === 403, `echo after, on the same connection: HTTP ${after ?? "answered"}`);
  } finally {
    await client.close();
  }
}

async function auditTrail({ say, admin }: Scene, secrets: readonly string[]): Promise<void> {
  say.chapter("All of it is in the audit log (get_audit_logs)");
  const { items } = await manage(admin, { tool: "get_audit_logs", input: { limit: 200 }, output: Events });
  for (const { seq, actor, action, resource, outcome, reason } of items) {
    const columns = [String(seq).padStart(2), actor.name.padEnd(14), action.padEnd(19), resource.name.padEnd(20)];
    say.line([...columns, reason === undefined ? outcome : `${outcome} (${reason})`].join("  "));
  }
  say.claim(
    items.every(({ seq }, index) => seq === index + 1),
    `${items.length} events without a gap`,
  );
  const text = JSON.stringify(items);
  say.claim(
    secrets.every((secret) => !text.includes(secret)),
    "no key and no token in any of them",
  );
}
