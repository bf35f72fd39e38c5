import { resolve } from "node:path";
import { expect, test } from "vitest";
import { identify } from "./identity.ts";
import { createMatcher, EMPTY_REGISTRY } from "./match.ts";

const KEY = "organization-key";
/** As `runlayer connect` of this installation writes it. */
const LAUNCHER = resolve(import.meta.dirname, "../../bin/runlayer.js");
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
  ["docker --context x container run -it --annotation a=b acme/files", "oci:acme/files", "latest"],
  ["podman run -ie A=b -v/x:/y --rm acme/files", "oci:acme/files", "latest"],
  ["npx mcp-remote@npm:evil@1.0.0 https://a.example", "pkg:npm/evil", "pinned"],
  ["npx x@npm:y", "pkg:npm/y", "latest"],
  ["npx mcp-remote@git+https://evil.example/x", "pkg:npm/https://evil.example/x", "source"],
  ["npx mcp-remote@evil/x", "pkg:npm/evil/x", "source"],
  ["uvx mcp-proxy@git+https://evil.example/x", "pkg:pypi/https://evil.example/x", "source"],
  ["node /home/a/server.js", "script:node:/home/a/server.js", "local"],
  ["node --require ./a.cjs --env-file .env /home/a/server.js", "script:node:/home/a/server.js", "local"],
  ["bun run src/index.ts", "script:node:src/index.ts", "local"],
  ["deno run -A /home/a/server.ts", "script:deno:/home/a/server.ts", "local"],
  ["uv --directory /x run weather.py", "script:python:/x/weather.py", "local"],
  ["uv run --directory=/x --with httpx python -u weather.py", "script:python:/x/weather.py", "local"],
  ["uv run --python 3.12 /home/a/weather.py", "script:python:/home/a/weather.py", "local"],
  ["uv run -m mcp_server_git", "pkg:pypi/mcp-server-git", "local"],
  ["python -W ignore /home/a/server.py -m mcp_server_git", "script:python:/home/a/server.py", "local"],
  ["java -Xmx1g -cp a.jar -jar /home/a/server.jar --port 1", "script:java:/home/a/server.jar", "local"],
  ["dotnet /home/a/server.dll", "script:dotnet:/home/a/server.dll", "local"],
  ["sudo -u ada env -i A=b node /home/a/server.js", "script:node:/home/a/server.js", "local"],
  ["/opt/bin/github-mcp stdio", "bin:github-mcp", "local"],
])("%s is %s, %s", (commandLine, family, pin) => {
  const identity = of(commandLine);
  expect(identity.family).toBe(family);
  expect(identity.launch?.pin).toBe(pin);
});

test.each([
  ["uv --directory /x run weather", "uv --directory /y run weather"],
  ["uv run a", "uv run b"],
  ["java -cp a.jar Main", "java -cp a.jar Other"],
  ["java -cp a.jar Main -jar a.jar", "java -cp a.jar Other -jar a.jar"],
  ["dotnet run --project a", "dotnet run --project b"],
  ["bun run a", "bun run b"],
  ["npm run a", "npm run b"],
  ["npm --prefix a start", "npm --prefix b start"],
  ["pnpm run a", "pnpm run b"],
  ["yarn a", "yarn b"],
  ["deno task a", "deno task b"],
  ["node -e a()", "node -e b()"],
  ["node --run a", "node --run b"],
  ["python -c a()", "python -c b()"],
  ["docker exec -i a x", "docker exec -i b x"],
  ["docker mcp gateway run", "docker mcp gateway run --servers b"],
  ["docker compose run a", "docker compose run b"],
  ["npx -p @acme/files -c a", "npx -p @acme/files -c b"],
  ["npx -p @acme/files -p evil a", "npx -p @acme/files -p evil b"],
  ["env -S a", "env -S b"],
  ["go run ./a", "go run ./b"],
  ["poetry run a", "poetry run b"],
])("%s and %s are two servers, not two versions of one", (one, other) => {
  const registered = {
    id: "1",
    name: "one",
    transport: "stdio",
    command: one.split(" ")[0],
    args: one.split(" ").slice(1),
  };
  const matcher = createMatcher({ ...EMPTY_REGISTRY, servers: [registered] }, KEY);
  expect(matcher.standingOf(of(one)).status).toBe("registered_direct");
  expect(matcher.standingOf(of(other)).status).toBe("shadow");
  expect(of(one).family).not.toMatch(/^oci:$/);
});

test("a command line of nothing but wrappers is one that cannot be told", () => {
  const many = Array.from({ length: 100_000 }, () => "sudo");
  expect(identify({ command: "sudo", args: many }, KEY).kind).toBe("bin");
});

test.each([
  "node /home/a/node_modules/mcp-remote/evil.js https://gw.example/gateway/a/mcp",
  "/home/a/mcp-remote https://gw.example/gateway/a/mcp",
  "./mcp-proxy https://gw.example/gateway/a/mcp",
  "C:\\x\\mcp-remote.exe https://gw.example/gateway/a/mcp",
  "mcp-proxy evil https://gw.example/gateway/a/mcp",
  "uvx mcp-proxy --headers A b evil https://gw.example/gateway/a/mcp",
  "npx mcp-remote --header A:b evil https://gw.example/gateway/a/mcp",
  "python -m mcp_proxy https://gw.example/gateway/a/mcp",
  "npx mcp-remote@npm:evil https://gw.example/gateway/a/mcp",
  "npx mcp-remote@https://evil.example/x.tgz https://gw.example/gateway/a/mcp",
  "npx --registry https://evil.example mcp-remote https://gw.example/gateway/a/mcp",
  "npx --registry=https://evil.example mcp-remote https://gw.example/gateway/a/mcp",
  "npx -p mcp-remote evil https://gw.example/gateway/a/mcp",
  "npx -p mcp-remote -c evil https://gw.example/gateway/a/mcp",
  "npx supergateway --stdio evil --sse https://gw.example/gateway/a/mcp",
  "uvx mcp-proxy evil https://gw.example/gateway/a/mcp",
  "uvx --with evil mcp-proxy https://gw.example/gateway/a/mcp",
  "npx -y runlayer serve --url https://gw.example/gateway/a/mcp",
  "npx -y runlayer@npm:evil stdio --url https://gw.example/gateway/a/mcp",
  "node /home/a/bin/runlayer.js stdio --url https://gw.example/gateway/a/mcp",
  `node --import=/home/a/evil.js ${LAUNCHER} stdio --url https://gw.example/gateway/a/mcp`,
])("%s only looks like a bridge to the gateway", (commandLine) => {
  const matcher = createMatcher({ ...EMPTY_REGISTRY, gatewayUrls: ["https://gw.example/gateway"] }, KEY);
  expect(matcher.standingOf(of(commandLine)).status).toBe("shadow");
});

test.each([
  "npx -y mcp-remote@0.1.29 https://gw.example/gateway/a/mcp --header A:b",
  "npx mcp-remote --header A:b https://gw.example/gateway/a/mcp",
  "npx -y supergateway --sse https://gw.example/gateway/a/mcp",
  "uvx mcp-proxy https://gw.example/gateway/a/mcp",
  "uvx mcp-proxy --headers A b --transport streamablehttp -H C d https://gw.example/gateway/a/mcp",
  "mcp-proxy --headers A b https://gw.example/gateway/a/mcp",
  "mcp-remote https://gw.example/gateway/a/mcp --header A:b",
  "cmd /c mcp-remote.cmd https://gw.example/gateway/a/mcp",
  "npx -y runlayer stdio --url https://gw.example/gateway/a/mcp",
  "npx -y runlayer@1.0.0 stdio --url=https://gw.example/gateway/a/mcp",
  `${process.execPath} ${LAUNCHER} stdio --url https://gw.example/gateway/a/mcp`,
])("%s is a bridge to the gateway", (commandLine) => {
  const matcher = createMatcher({ ...EMPTY_REGISTRY, gatewayUrls: ["https://gw.example/gateway"] }, KEY);
  expect(matcher.standingOf(of(commandLine)).status).toBe("managed");
});

test("what is called like a bridge goes around the gateway like one, and is no other one for another address", () => {
  const server = { id: "1", name: "api", transport: "http", url: "https://mcp.acme.example/mcp" };
  const matcher = createMatcher({ ...EMPTY_REGISTRY, servers: [server] }, KEY);
  const direct = of("/home/a/mcp-remote https://mcp.acme.example/sse");
  expect(matcher.standingOf(direct).status).toBe("registered_direct");
  expect(matcher.identityAt([], direct).family).toBe("url:mcp.acme.example");
  const [one, other] = [of("/home/a/mcp-remote https://a.example"), of("/home/a/mcp-remote https://b.example")];
  expect(matcher.standingOf(one).status).toBe("shadow");
  expect(one.family).not.toBe(other.family);
});

test("a header of two words is no address of the server", () => {
  const args = ["mcp-proxy", "--headers", "Authorization", "Bearer x", "https://mcp.example.com/mcp"];
  expect(identify({ command: "uvx", args }, KEY).family).toBe("url:mcp.example.com");
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
