import { expect, test } from "vitest";
import { createEgress } from "../../lib/egress/egress.ts";
import { listen } from "../../../test/fixtures/mcp/http-servers.ts";
import { peerObservations } from "./scan-peers.ts";

test("a server without TLS whose name leads to another host is drift", async () => {
  const upstream = await listen((_request, response) => response.end("{}"));
  const egress = createEgress({
    ownListeners: () => [],
    resolveName: () => Promise.resolve([{ address: "127.0.0.1", family: 4 }]),
  });
  try {
    const url = new URL(`http://mcp.acme.test:${String(upstream.port)}/`);
    expect(egress.peerOf(url)).toBeUndefined();
    const target = { allowPrivateNetwork: true };
    const { body } = await egress.dispatcher(target).request({ origin: url.origin, path: "/", method: "GET" });
    await body.dump();
    const peer = egress.peerOf(url);
    expect(peer).toEqual({ addresses: ["127.0.0.1"], certificate: null });
    const discovery = { state: "ok", tools: [], resources: [], prompts: [], peer } as const;
    const judge = (...addresses: string[]) =>
      peerObservations(
        { serverId: "s1", discovery },
        { peers: new Map([["s1", { addresses, certificate: null }]]), nameOf: () => "acme", now: 0 },
      );
    expect(judge("127.0.0.1", "10.0.0.9")).toEqual([]);
    const [found] = judge("10.0.0.9");
    expect(found).toMatchObject({ code: "HOST-CHANGED", kind: "drift", serverId: "s1" });
    expect(found?.evidence).toContain("127.0.0.1, not to 10.0.0.9");
  } finally {
    await egress.close();
    await upstream.close();
  }
});
