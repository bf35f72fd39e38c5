import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningServer, startLegacyServer } from "../fixtures/mcp/http-servers.ts";
import { type CertificateAuthority, makeCertificate } from "../fixtures/tls/certificate.ts";
import { startTlsFront, type TlsFront } from "../fixtures/tls/tls-front.ts";
import { at, textAt } from "../harness/app.ts";
import { restAll, startServe, type ServeProcess } from "../harness/serve-process.ts";

/* Certificates of registered servers: real TLS, and the program with an operator's own authorities (NODE_EXTRA_CA_CERTS). */

const OWNER_KEY = `rl_org_${"endpt".repeat(10)}`;

const authorities = ["Acme", "Other"].map((organization) => makeCertificate({ organization, commonName: "root" }));
const leaf = (issuer: CertificateAuthority | undefined, more: { fromDays?: number; toDays?: number } = {}) =>
  makeCertificate({ organization: "Acme", commonName: "localhost", issuer, ...more });
const FIRST = leaf(authorities[0], { fromDays: -80, toDays: 10 });

let folder: string;
let upstream: RunningServer;
let front: TlsFront;
let serving: ServeProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-endpoint-"));
  const bundle = join(folder, "authorities.pem");
  writeFileSync(bundle, authorities.map(({ cert }) => cert).join(""));
  upstream = await startLegacyServer();
  front = await startTlsFront(upstream.port, FIRST);
  const environment = { NODE_EXTRA_CA_CERTS: bundle };
  serving = await startServe({ dataDir: join(folder, "data"), ownerKey: OWNER_KEY, environment });
  const url = `${front.origin}/mcp`;
  const server = { name: "secure", transport: "streamable-http", url, allowPrivateNetwork: true };
  const { body } = await serving.rest("POST /servers", server);
  expect(at(body, "discovery", "state"), JSON.stringify(body)).toBe("ok");
});

afterAll(async () => {
  await serving.kill();
  await front.close();
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

async function scan(targets = ["registry"]) {
  const { status, body } = await serving.rest("POST /scans", { targets });
  expect(status, JSON.stringify(body)).toBe(200);
  return at(body, "summary");
}

async function drift(status: "open" | "resolved" = "open") {
  const found = await restAll(serving, "GET /scan-results", { kind: "drift", status });
  return found.filter((finding) => textAt(finding, "code") === "CERTIFICATE-CHANGED");
}

test("a certificate of another authority is drift until it is accepted or gone; a renewal on time is not", async () => {
  await scan();
  expect(await drift()).toEqual([]);

  front.present(leaf(authorities[0]));
  await scan();
  expect(await drift()).toEqual([]);

  const early = leaf(authorities[0]);
  front.present(early);
  await scan();
  expect(await drift()).toMatchObject([{ severity: "low", evidence: expect.stringContaining("long before") }]);

  const foreign = leaf(authorities[1]);
  front.present(foreign);
  await scan();
  const [found] = await drift();
  expect(found).toMatchObject({ kind: "drift", severity: "medium", operation: { tool: "update_finding" } });
  expect(textAt(found, "evidence")).toMatch(/issued by `Other` \(SHA-256 [0-9a-f]{16}\), not issued by `Acme`/);
  expect(await scan()).toMatchObject({ new: 0, resolved: 0 });

  const accepted = await serving.rest("PATCH /servers/secure", { url: `${front.origin}/mcp` });
  expect(accepted.status).toBe(200);
  await scan();
  expect(await drift()).toEqual([]);
  expect(await drift("resolved")).toHaveLength(1);
});

test("a certificate that nobody vouches for is a server that does not work, and says why", async () => {
  front.present(leaf(undefined));
  await scan();
  const found = await restAll(serving, "GET /scan-results", { query: "SERVER-NOT-WORKING" });
  expect(found).toMatchObject([{ kind: "drift", evidence: expect.stringMatching(/unreachable.*SELF_SIGNED/) }]);
});

test("only a scan of the registry says that drift ended, unless the server is deleted", async () => {
  front.present(leaf(authorities[0]));
  await scan();
  expect(await drift()).toHaveLength(1);
  expect(await scan(["devices"])).toMatchObject({ resolved: 0 });
  const { status } = await serving.rest("DELETE /servers/secure", { confirm: true });
  expect(status).toBe(200);
  await scan(["devices"]);
  expect(await drift("resolved")).toHaveLength(1);
});
