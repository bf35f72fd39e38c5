import { startHarness } from "../../test/gateway/harness.ts";
import { announce } from "./role.ts";

/** The gateway with everything on: identification, assignment with globs, durable audit in a real SQLite database. */
const [upstream = "", auditDurability = "before-dispatch"] = process.argv.slice(2);
const harness = await startHarness();
await harness.setSettings({
  auditDurability: auditDurability === "before-answer" ? "before-answer" : "before-dispatch",
});
const ids: string[] = [];
for (const delay of ["0", "10"]) {
  const server = await harness.addServer(
    { name: `d${delay}`, url: `${upstream}/${delay}/mcp` },
    { credential: { type: "bearer", token: "t" } },
  );
  ids.push(server.id);
}
const { key } = await harness.addAgent(
  "bench",
  ids.map((serverId) => ({ serverId, tools: ["read_*", "write_file", "*_search"] })),
);
announce({ port: new URL(harness.url).port }, { key });
