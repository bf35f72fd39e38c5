import { expect, test } from "vitest";
import { createLineFinder } from "./line-finder.ts";

test.each([
  ["JSON", '{\n  "mcpServers": {\n    "a": {}\n  }\n}', 3],
  ["YAML", "mcp_servers:\n  a:\n    command: x\n", 2],
  ["TOML", 'model = "a"\n[mcp_servers.a]\n', 2],
  ["a list", "servers:\n  - name: a\n", 2],
])("finds a name in %s", (_what, text, line) => {
  expect(createLineFinder(text)("a")).toBe(line);
});

test("finds one name in two places in turn, and an earlier one again", () => {
  const find = createLineFinder('{\n"x": {"s": {}},\n"y": {"s": {}}\n}');
  expect(["x", "s", "y", "s", "x", "none", ""].map(find)).toEqual([2, 2, 3, 3, 2, undefined, undefined]);
});

test.each([
  ["many names", (index: number) => `server-${String(index)}`],
  ["names that are written in another way", (index: number) => `never-${String(index)}`],
  ["a letter that is everywhere", () => "e"],
])("takes no time over a file of the largest size with %s", (_what, nameOf) => {
  const entries = Array.from(
    { length: 2000 },
    (_item, index) => `  "server-${String(index)}": {${" e".repeat(4900)}},`,
  );
  const find = createLineFinder(`{\n${entries.join("\n")}\n}`);
  const startedAt = process.cpuUsage();
  for (const index of entries.keys()) find(nameOf(index));
  // A hundred times as long without a bound.
  expect(process.cpuUsage(startedAt).user).toBeLessThan(2_000_000);
});
