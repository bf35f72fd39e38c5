import { expect, test } from "vitest";
import { identify } from "./identity.ts";
import { createMatcher, EMPTY_REGISTRY } from "./match.ts";

const KEY = "organization-key";
const of = (commandLine: string) => {
  const [command = "", ...args] = commandLine.split(" ");
  return identify({ command, args }, KEY);
};

test.each([
  ["npx -y @Acme/Files@1.2.3 /data", "pkg:npm/@acme/files", "pinned"],
  ["npx --yes --package=@acme/files@latest files", "pkg:npm/@acme/files", "latest"],
  ["/usr/bin/npx @acme/files", "pkg:npm/@acme/files", "latest"],
  ["npm exec -- @acme/files@^1", "pkg:npm/@acme/files", "range"],
  ["bunx @acme/files@1.2.3", "pkg:npm/@acme/files", "pinned"],
  ["pnpm dlx @acme/files", "pkg:npm/@acme/files", "latest"],
  ["cmd /c npx -y @acme/files@1.2.3", "pkg:npm/@acme/files", "pinned"],
  ["C:\\nodejs\\npx.cmd -y @acme/files@1.2.3", "pkg:npm/@acme/files", "pinned"],
  ["node /opt/x/node_modules/@acme/files/dist/index.js", "pkg:npm/@acme/files", "local"],
  ["uvx Mcp_Server.Git==2.0.1", "pkg:pypi/mcp-server-git", "pinned"],
  ["uvx --from mcp-server-git mcp-server-git", "pkg:pypi/mcp-server-git", "latest"],
  ["uv tool run mcp-server-git", "pkg:pypi/mcp-server-git", "latest"],
  ["python3.12 -m mcp_server_git --repo x", "pkg:pypi/mcp-server-git", "local"],
  ["uvx git+https://github.com/acme/x", "pkg:pypi/https://github.com/acme/x", "source"],
  ["npx github:acme/x", "pkg:npm/github:acme/x", "source"],
  ["docker run -i --rm -e A=b -v /x:/y docker.io/acme/files:1.0 --flag", "oci:acme/files", "range"],
  ["docker run ghcr.io/acme/files@sha256:abcdef", "oci:ghcr.io/acme/files", "pinned"],
  ["node /home/a/server.js", "script:node:/home/a/server.js", "local"],
  ["/opt/bin/github-mcp stdio", "bin:github-mcp", "local"],
])("%s is %s, %s", (commandLine, family, pin) => {
  const identity = of(commandLine);
  expect(identity.family).toBe(family);
  expect(identity.launch?.pin).toBe(pin);
});

test("the same address through a bridge, in another case, with default port and another transport is one server", () => {
  const seen = [
    identify({ url: "https://mcp.acme.example/v1/mcp" }, KEY),
    identify({ url: "HTTPS://user:pw@MCP.Acme.example:443/v1/./sse/?token=abc#x" }, KEY),
    of("npx -y mcp-remote https://mcp.acme.example/v1/mcp --header A:b"),
    of("npx -y supergateway --sse https://mcp.acme.example/v1/sse"),
    of("uvx mcp-proxy https://mcp.acme.example/v1"),
  ];
  expect(new Set(seen.map((identity) => identity.family))).toEqual(new Set(["url:mcp.acme.example/v1"]));
});

test("no secret of an address or a command enters an identity", () => {
  const secret = "Zk3Qx9LmPq7Rt2Vw8Yb4Nc6Hd1";
  const seen = [
    identify({ url: `https://u:${secret}@x.example/${secret}/mcp?key=${secret}` }, KEY),
    of(`npx -y @acme/x --token ${secret}`),
    of(`bash -c start --token ${secret}`),
    of(`uvx git+https://${secret}@github.com/acme/x`),
  ];
  for (const { launch: _launch, ...visible } of seen) expect(JSON.stringify(visible)).not.toContain(secret);
});

test("tells managed, bypassing, drifted and shadow apart", () => {
  const files = { id: "1", name: "files", transport: "stdio", command: "npx", args: ["-y", "@acme/files@1.2.3"] };
  const api = {
    id: "2",
    name: "api",
    transport: "http",
    url: "https://mcp.acme.example/mcp",
    gatewayUrl: "https://gw.example/gateway/api/mcp",
  };
  const matcher = createMatcher(
    { ...EMPTY_REGISTRY, servers: [files, api], gatewayUrls: ["https://gw.example/gateway"] },
    KEY,
  );
  expect(matcher.standingOf(of("npx @acme/files@1.2.3")).status).toBe("registered_direct");
  expect(matcher.standingOf(of("npx @acme/files@1.3.0")).status).toBe("drifted");
  expect(matcher.standingOf(of("npx @acme/files@1.2.3 /etc")).status).toBe("drifted");
  expect(matcher.standingOf(of("npx @acme/other")).status).toBe("shadow");
  expect(matcher.standingOf(of("npx mcp-remote https://mcp.acme.example/sse")).status).toBe("registered_direct");
  expect(matcher.standingOf(identify({ url: "https://gw.example/gateway/mcp" }, KEY)).status).toBe("managed");
  expect(matcher.standingOf(identify({ url: "https://gw.example/gateways" }, KEY)).status).toBe("shadow");
});
