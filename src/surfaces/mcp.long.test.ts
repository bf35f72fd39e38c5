import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect, test } from "vitest";
import { startSurface, things } from "../../test/harness/surface.ts";

test("a person who does not answer for 60 s has declined", async () => {
  const surface = await startSurface();
  try {
    await surface.call("POST", "/things", { body: { name: "one" } });
    const client = new Client(
      { name: "silent", version: "1" },
      { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "legacy" } },
    );
    client.setRequestHandler("elicitation/create", () => new Promise(() => {}));
    const requestInit = { headers: { authorization: `Bearer ${surface.owner.secret}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${surface.url}/mcp`), { requestInit }));
    const startedAt = Date.now();
    const result = await client.callTool({ name: "delete_thing", arguments: { id: "one" } }, { timeout: 90_000 });
    expect(Date.now() - startedAt).toBeGreaterThan(59_000);
    expect(result).toMatchObject({ isError: true, structuredContent: { error: { code: "confirmation_required" } } });
    expect(things.size).toBe(1);
    await client.close();
  } finally {
    await surface.close();
  }
});
