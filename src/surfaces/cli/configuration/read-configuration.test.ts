import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfiguration } from "./read-configuration.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-files-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["headers.Authorization", "headers: { Authorization: Bearer abc }"],
  ["headers.X-Api-Key", "headers: { X-Api-Key: abc }"],
  ["headers.Cookie", "headers: { Cookie: sid=1 }"],
  ["headers.X-Team", "headers: { X-Team: ghp_a1B2c3D4e5a1B2c3D4e5a1B2c3D4e5a1B2c3 }"],
  ["env.DB_PASSWORD", "env: { LOG: debug, DB_PASSWORD: hunter2 }"],
  ["env.SERVICE_TOKEN", "env: { SERVICE_TOKEN: 12345678 }"],
  ["env.SERVICE_TOKEN", "env: { SERVICE_TOKEN: '${SERVICE_TOKEN}' }"],
  ["env.DATABASE", "env: { DATABASE: 'postgres://me:word-of-mine@db/x' }"],
  ["args.1", "args: [--token, abc]"],
  ["args.0", "args: [--api-key=abc]"],
  ["args.2", "args: [run, x, 'TOKEN=abc']"],
  ["credential.values.ANY", "credential: { type: env, values: { ANY: abc } }"],
  ["credential.password", "credential: { type: basic, username: me, password: 7 }"],
])("refuses a file that holds a secret in clear in %s: %s", (place, yaml) => {
  const file = join(folder, "clear.yaml");
  writeFileSync(file, `servers: [{ name: leaky, transport: stdio, ${yaml} }]`);
  const attempt = () => readConfiguration(file, {});
  for (const part of [file, "`leaky`", `\`${place}\``]) expect(attempt).toThrow(part);
  expect(attempt).not.toThrow(/abc|hunter2|12345678|word-of-mine|ghp_/);
});

test.each([
  "args: [--path, /srv/data, --key, /etc/keys/one.pem, --token, { $env: SET }]",
  "headers: { X-Team: payments, Authorization: { $env: SET } }",
  "env: { LOG: debug, GOOGLE_APPLICATION_CREDENTIALS: /etc/google.json, TOKEN_URL: 'https://auth.example.com' }",
  "credential: { type: oauth-client-credentials, tokenUrl: 'https://x.example', clientId: me, clientSecret: { $env: SET } }",
])("takes %s", (yaml) => {
  const file = join(folder, "fine.yaml");
  writeFileSync(file, `servers: [{ name: fine, ${yaml} }]`);
  expect(JSON.stringify(readConfiguration(file, { SET: "resolved" }))).not.toContain("$env");
});

test.each([
  ["bogus: 1", "`bogus`: unknown field; check the spelling or leave it out"],
  ["servers: [{ url: x }]", "`servers.0.name`: "],
  ["[]", "input: "],
])("names the file and the field of a form that is none: %s", (yaml, fault) => {
  const file = join(folder, "form.yaml");
  writeFileSync(file, yaml);
  expect(() => readConfiguration(file, {})).toThrow(`\`${file}\`: ${fault}`);
});
