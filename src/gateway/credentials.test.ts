import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createEgress } from "../lib/egress/egress.ts";
import type { OauthClient } from "./client-token.ts";
import { createCredentialSource } from "./credentials.ts";

const USE = { allowPrivateNetwork: true };
const clock = { time: 1_000_000, now: () => clock.time };
const egress = createEgress({ ownListeners: () => [] });
let server: Server;
let client: OauthClient;
let asked: { authorization: string | undefined; form: URLSearchParams }[] = [];
let answer: (request: IncomingMessage, form: URLSearchParams) => { status: number; body: unknown };

beforeAll(async () => {
  server = createServer((request, response) => {
    void text(request).then((body) => {
      const form = new URLSearchParams(body);
      asked.push({ authorization: request.headers.authorization, form });
      const { status, body: sent } = answer(request, form);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(typeof sent === "string" ? sent : JSON.stringify(sent));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

beforeEach(() => {
  asked = [];
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  client = {
    type: "oauth-client-credentials",
    tokenUrl: `http://127.0.0.1:${port}/token`,
    clientId: `client ${Math.random()}`,
    clientSecret: "s:e+cret/é",
    scopes: ["read", "write"],
  };
  answer = () => ({ status: 200, body: { access_token: `t${asked.length}`, token_type: "Bearer", expires_in: 3600 } });
});

afterAll(async () => {
  await egress.close();
  server.close();
});

test("each fixed type gives its header at once", () => {
  const source = createCredentialSource({ egress, clock });
  expect(source.headersFor({ type: "none" }, USE)).toEqual({});
  expect(source.headersFor({ type: "env", values: { A: "b" } }, USE)).toEqual({});
  expect(source.headersFor({ type: "bearer", token: "t" }, USE)).toEqual({ authorization: "Bearer t" });
  expect(source.headersFor({ type: "header", name: "X-Api-Key", value: "k" }, USE)).toEqual({ "x-api-key": "k" });
  expect(source.headersFor({ type: "basic", username: "Aladdin", password: "open sesame" }, USE)).toEqual({
    authorization: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
  });
});

test("a token is fetched once for simultaneous callers and kept until shortly before it expires", async () => {
  const source = createCredentialSource({ egress, clock });
  const first = await Promise.all([1, 2, 3].map(async () => source.headersFor(client, USE)));
  expect(first).toEqual([1, 2, 3].map(() => ({ authorization: "Bearer t1" })));
  expect(source.headersFor({ ...client }, USE)).toEqual({ authorization: "Bearer t1" });
  clock.time += 3_539_000;
  expect(source.headersFor(client, USE)).toEqual({ authorization: "Bearer t1" });
  clock.time += 2000;
  expect(await source.headersFor(client, USE)).toEqual({ authorization: "Bearer t2" });
  expect(asked).toHaveLength(2);
  expect(asked[0]?.form.get("scope")).toBe("read write");
});

test("sends id and secret form-encoded in the Basic scheme", async () => {
  await createCredentialSource({ egress, clock }).headersFor({ ...client, clientId: "a b" }, USE);
  const [, encoded = ""] = asked[0]?.authorization?.split(" ") ?? [];
  expect(Buffer.from(encoded, "base64").toString()).toBe("a+b:s%3Ae%2Bcret%2F%C3%A9");
  expect(asked[0]?.form.has("client_secret")).toBe(false);
});

test("falls back to the secret in the body where Basic is refused", async () => {
  answer = (request, form) =>
    request.headers.authorization === undefined && form.get("client_secret") === client.clientSecret
      ? { status: 200, body: { access_token: "posted", token_type: "bearer" } }
      : { status: 401, body: { error: "invalid_client" } };
  expect(await createCredentialSource({ egress, clock }).headersFor(client, USE)).toEqual({
    authorization: "Bearer posted",
  });
});

test("a forgotten token is fetched again", async () => {
  const source = createCredentialSource({ egress, clock });
  await source.headersFor(client, USE);
  source.forget(client);
  expect(await source.headersFor(client, USE)).toEqual({ authorization: "Bearer t2" });
});

test.each([
  ["an error code", 401, { error: "invalid_client" }],
  ["no JSON", 200, "<html>"],
  ["no token", 200, { token_type: "bearer" }],
  ["a token that would break the header", 200, { access_token: "a\r\nx: y", token_type: "bearer" }],
  ["another token type", 200, { access_token: "a", token_type: "mac" }],
  ["a huge body", 200, "x".repeat(200_000)],
])("%s is an upstream error without the secret, and the next try asks again", async (_title, status, body) => {
  answer = () => ({ status, body });
  const source = createCredentialSource({ egress, clock });
  const attempt = async () => source.headersFor(client, USE);
  await expect(attempt()).rejects.toMatchObject({ code: "upstream_error" });
  await expect(attempt()).rejects.not.toThrow(/s:e\+cret/);
  answer = () => ({ status: 200, body: { access_token: "fine", token_type: "bearer" } });
  expect(await attempt()).toEqual({ authorization: "Bearer fine" });
});

test("the guard holds for the token endpoint", async () => {
  const source = createCredentialSource({ egress, clock });
  const attempt = async () => source.headersFor(client, { allowPrivateNetwork: false });
  await expect(attempt()).rejects.toMatchObject({ code: "invalid_input", details: { field: "credential.tokenUrl" } });
  expect(asked).toHaveLength(0);
});
