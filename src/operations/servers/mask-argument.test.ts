import { expect, test } from "vitest";
import { maskArguments } from "./mask-argument.ts";

test.each([
  ["after a flag that names it", ["--token", "hunter2"], ["--token", "********"]],
  ["after a short flag", ["-api-key", "abc"], ["-api-key", "********"]],
  ["after a flag in camel case", ["--apiKey", "abc"], ["--apiKey", "********"]],
  ["after a bare `--key`", ["--key", "abc"], ["--key", "********"]],
  ["after a connection string's flag", ["--dsn", "db user=me"], ["--dsn", "********"]],
  ["after a flag that ends in pat", ["--github-pat", "abc"], ["--github-pat", "********"]],
  ["in the flag itself", ["--password=abc"], ["--password=********"]],
  ["in an assignment", ["API_TOKEN=abc"], ["API_TOKEN=********"]],
  ["in an address", ["postgres://me:word@db/x"], ["postgres://********@db/x"]],
  ["by its form", ["a1B2c3D4e5F6a1B2c3D4e5F6"], ["********"]],
  ["two in a row", ["--secret", "one", "--secret", "two"], ["--secret", "********", "--secret", "********"]],
])("hides a secret %s", (_where, given, shown) => {
  expect(maskArguments(given)).toEqual(shown);
});

test.each([
  [["--path", "/srv/data"]],
  [["--author", "Ada"]],
  [["--keyboard", "de"]],
  [["--token-url", "https://auth.example.com/token"]],
  [["run", "@scope/server", "--port", "8080"]],
])("shows what is none: %j", (given) => {
  expect(maskArguments(given)).toEqual(given);
});
