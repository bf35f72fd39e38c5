import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { homeContext } from "../sweep/homes.ts";
import { scanHome } from "../sweep/scan-home.ts";
import { withRegisteredDigests } from "./registered-digests.ts";

const DOCUMENT = "---\nname: x\ndescription: d\n---\n";

/** What somebody may plant, and what no registry can hold. */
const PLANTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "half-a-pair": { "SKILL.md": '---\nname: half-a-pair\ndescription: "a\\ud800"\n---\n' },
  "half-a-pair-in-manifest": { "SKILL.md": DOCUMENT, "skill.json": '{"servers":["\\ud800"]}' },
  "deep-schema": {
    "SKILL.md": DOCUMENT,
    "skill.js": "export default () => 1",
    "skill.json": `{"inputSchema":{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`,
  },
  "deep-frontmatter": { "SKILL.md": `---\nname: x\ndescription: ${"[".repeat(16_000)}${"]".repeat(16_000)}\n---\n` },
};

let home = "";

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "digests-"));
  for (const [name, files] of Object.entries({ ...PLANTED, honest: { "SKILL.md": DOCUMENT } })) {
    const folder = join(home, ".claude", "skills", name);
    await mkdir(folder, { recursive: true });
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  }
});

afterAll(() => rm(home, { recursive: true, force: true }));

test("no planted skill ends a scan: each keeps its own digest, the honest one has the registry's", async () => {
  const read = await scanHome(homeContext(home));
  const facts = await withRegisteredDigests(read);
  const digests = new Map(facts.skills.map(({ name, digest }) => [name, digest]));
  const own = new Map(read.skills.map(({ name, digest }) => [name, digest]));
  for (const name of Object.keys(PLANTED)) expect(digests.get(name), name).toBe(own.get(name));
  expect(digests.get("honest")).not.toBe(own.get("honest"));
  expect(digests.size).toBe(Object.keys(PLANTED).length + 1);
  expect(facts.coverage).toEqual(read.coverage);
});
