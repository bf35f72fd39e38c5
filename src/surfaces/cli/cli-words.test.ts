import { expect, test } from "vitest";
import { createMcpServer } from "../../operations/servers/create-mcp-server.ts";
import { deleteMcpServer } from "../../operations/servers/delete-mcp-server.ts";
import { OPERATIONS } from "../../operations/index.ts";
import { toCliWords } from "./cli-words.ts";

test.each([
  [createMcpServer, "set `allowPrivateNetwork` to `true`", "set `--allow-private-network`"],
  [
    createMcpServer,
    "there is no `other`; list_mcp_servers shows",
    "there is no `other`; `runlayer servers list` shows",
  ],
  [deleteMcpServer, "it needs `confirm: true`", "it needs `--confirm`"],
  // What is a name, a tool or a field of something else stays as it is.
  [createMcpServer, "server `name` has no `readOnlyHint` and no read_file", undefined],
])("%#: says it in words of the command line", (operation, message, expected = message) => {
  expect(toCliWords(message, operation, OPERATIONS)).toBe(expected);
});
