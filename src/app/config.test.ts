import { expect, test } from "vitest";
import { isOnLoopbackOnly, parseConfig } from "./config.ts";

test.each([
  [{}, true],
  [{ RUNLAYER_HOST: "::1", RUNLAYER_PUBLIC_URL: "http://[::1]:7420" }, true],
  [{ RUNLAYER_PUBLIC_URL: "http://localhost:7420" }, true],
  [{ RUNLAYER_PUBLIC_URL: "https://runlayer.example.com" }, false],
  [{ RUNLAYER_PUBLIC_URL: "https://127.example.com" }, false],
  [{ RUNLAYER_TRUSTED_PROXIES: "127.0.0.1" }, false],
  [{ RUNLAYER_HOST: "0.0.0.0", RUNLAYER_INSECURE_HTTP: "true" }, false],
])("knows of %o whether only this machine reaches it: %s", (environment, expected) => {
  expect(isOnLoopbackOnly(parseConfig(environment, "/nonexistent"))).toBe(expected);
});
