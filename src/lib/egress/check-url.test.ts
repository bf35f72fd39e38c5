import { expect, test } from "vitest";
import { AppError } from "../errors.ts";
import { checkUrl } from "./check-url.ts";

const NONE = { ownListeners: [] } as const;

function outcome(url: string, allowPrivateNetwork: boolean): string {
  try {
    return checkUrl(url, { allowPrivateNetwork, ...NONE }).href;
  } catch (error) {
    if (error instanceof AppError && error.code === "invalid_input") return "refused";
    throw error;
  }
}

const LOCAL_SPELLINGS = [
  "http://localhost/",
  "http://LOCALHOST:8080/mcp",
  "http://localhost./",
  "http://foo.localhost/",
  "http://a.b.localhost./",
  "http://localhost.localdomain/",
  "http://ip6-localhost/",
  "http://127.0.0.1/",
  "http://127.0.0.1./",
  "http://127.1/",
  "http://127.0.1/",
  "http://2130706433/",
  "http://0x7f000001/",
  "http://0x7f.0.0.1/",
  "http://0x7f.1/",
  "http://0177.0.0.1/",
  "http://017700000001/",
  "http://127.0.0.1%2e/",
  "http://%31%32%37.0.0.1/",
  "http://１２７.0.0.1/",
  "http://127。0。0。1/",
  "http:\\\\127.0.0.1\\",
  "http:/127.0.0.1/",
  "http:127.0.0.1",
  " http://127.0.0.1/ ",
  "http://\t127.0.0.1/",
  "http://ⓛocalhost/",
  "http://[::1]/",
  "http://[0:0:0:0:0:0:0:1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[64:ff9b::127.0.0.1]/",
  "http://[2002:7f00:1::]/",
  "http://10.1.2.3/",
  "http://0xa.1.2.3/",
  "http://167772161/",
  "http://172.16.0.1/",
  "http://192.168.0.1/",
  "http://0300.0250.0.1/",
  "http://100.64.0.1/",
  "http://[fd00::1]/",
  "https://[fc00::1]:8443/mcp",
];

test.each(LOCAL_SPELLINGS)("%s needs allowPrivateNetwork", (url) => {
  expect(outcome(url, false)).toBe("refused");
  expect(outcome(url, true)).not.toBe("refused");
});

const ALWAYS_REFUSED = [
  "http://169.254.169.254/latest/meta-data/",
  "http://2852039166/",
  "http://0xa9fea9fe/",
  "http://0251.0376.0251.0376/",
  "http://169.254.43518/",
  "http://[::ffff:169.254.169.254]/",
  "http://[::ffff:a9fe:a9fe]/",
  "http://[64:ff9b::a9fe:a9fe]/",
  "http://[fe80::1]/",
  "http://[fd00:ec2::254]/",
  "http://metadata.google.internal/",
  "http://METADATA.google.internal./",
  "http://metadata/",
  "http://0.0.0.0/",
  "http://0/",
  "http://0x0/",
  "http://[::]/",
  "http://[0:0::0]/",
  "http://224.0.0.1/",
  "http://[ff02::1]/",
  "http://255.255.255.255/",
  "http://100.100.100.200/",
  "ftp://example.com/",
  "file:///etc/passwd",
  "gopher://example.com/",
  "ws://example.com/",
  "data:text/plain,x",
  "javascript:alert(1)",
  "unix:/var/run/docker.sock",
  "https://user@example.com/",
  "https://user:secret@example.com/",
  "https://:secret@example.com/",
  "https://example.com:pass@127.0.0.1/",
  "http://",
  "http://[fe80::1%25eth0]/",
  "http://256.1.1.1/",
  "//example.com/",
  "example.com",
  "",
  `https://example.com/${"a".repeat(3000)}`,
];

test.each(ALWAYS_REFUSED)("%s is always refused", (url) => {
  expect(outcome(url, true)).toBe("refused");
});

test.each([
  "https://mcp.example.com/mcp",
  "http://8.8.8.8:8080/",
  "https://localhost.example.com/",
  "http://[2606:4700::1111]/",
])("%s is free", (url) => {
  expect(outcome(url, false)).toBe(url);
});

test.each([
  ["http://127.0.0.1:7420/mcp", "127.0.0.1"],
  ["http://localhost:7420/mcp", "127.0.0.1"],
  ["http://2130706433:7420/", "localhost"],
  ["http://[::ffff:127.0.0.1]:7420/", "0.0.0.0"],
  ["http://127.8.8.8:7420/", "0.0.0.0"],
  ["http://[::1]:7420/", "::"],
  ["http://foo.localhost:7420/", "::"],
  ["http://runlayer.example.com:7420/gateway/mcp", "Runlayer.example.com."],
])("%s is refused while Runlayer listens on %s", (url, host) => {
  const rules = { allowPrivateNetwork: true, ownListeners: [{ host, port: 7420 }] };
  expect(() => checkUrl(url, rules)).toThrow(/Runlayer itself/);
  expect(checkUrl(url.replace("7420", "7421"), rules).port).toBe("7421");
});

test("refuses our own listener on the scheme's default port", () => {
  const rules = { allowPrivateNetwork: true, ownListeners: [{ host: "runlayer.example.com", port: 443 }] };
  expect(() => checkUrl("https://runlayer.example.com/mcp", rules)).toThrow(/Runlayer itself/);
});

test("names the field, the fault and the fix, and repeats no secret", () => {
  const rules = { allowPrivateNetwork: false, ownListeners: [], field: "tokenUrl" };
  const attempt = () => checkUrl("http://10.0.0.1/?key=hunter2", rules);
  expect(attempt).toThrow(/`tokenUrl`.*private address.*`allowPrivateNetwork`/);
  expect(attempt).not.toThrow(/hunter2/);
});
