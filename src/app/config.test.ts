import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
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

test.each(["LocalHost", "::1", "127.0.0.1", "127.0.0.2"])("listens on %s", (host) => {
  expect(parseConfig({ RUNLAYER_HOST: host }, "/nonexistent").host).toBe(host.toLowerCase());
});

test.each(["not a host", "127.0.0.999", "127.0.0.1:7420", "http://127.0.0.1", "[::1]", "fe80::1%eth0", "-"])(
  "says of %s that it is no address, whether or not others may connect",
  (host) => {
    const message = `RUNLAYER_HOST: \`${host}\` is no address or host name, without port; a valid one is 127.0.0.1`;
    for (const open of ["true", "false"]) {
      const parse = () => parseConfig({ RUNLAYER_HOST: host, RUNLAYER_INSECURE_HTTP: open }, "/nonexistent");
      expect(parse).toThrow(new AppError("invalid_input", message));
    }
  },
);

test.each(["0", "65536", "-1", "7420x"])("refuses port %s", (port) => {
  expect(() => parseConfig({ RUNLAYER_PORT: port }, "/nonexistent")).toThrow(/^RUNLAYER_PORT: .* a valid one is 7420$/);
});
