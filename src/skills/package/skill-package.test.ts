import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { parseSkillDocument } from "./frontmatter.ts";
import { checkSkillPath, decodeText, type SkillFile, summarizeFiles } from "./skill-files.ts";
import { readSkillFolder, writeSkillFolder } from "./skill-folder.ts";
import { digestSkill, toSkillFiles, toSkillPackage } from "./skill-package.ts";
import { readSkillZip, writeSkillZip } from "./skill-zip.ts";

const DOCUMENT = `---
name: fmt-date
description: Formats dates. Use when a date must be shown.
license: Apache-2.0
compatibility: Any client
metadata:
  author: "platform"
allowed-tools: Read Bash(git:*)
---

# Format dates
Use the function.
`;

function file(path: string, text: string): SkillFile {
  return { path, bytes: Buffer.from(text) };
}

const MANIFEST = JSON.stringify({ servers: ["github"], tools: ["list_*"], inputSchema: { type: "object" } });
const FILES = [
  file("SKILL.md", DOCUMENT),
  file("skill.js", "export default () => 1"),
  file("skill.json", MANIFEST),
  file("references/a.md", "text"),
  { path: "logo.png", bytes: Uint8Array.from([0x89, 0x50, 0, 1]) },
];

test("reads every field of the specification", () => {
  expect(parseSkillDocument(DOCUMENT, "fmt-date")).toEqual({
    name: "fmt-date",
    description: "Formats dates. Use when a date must be shown.",
    license: "Apache-2.0",
    compatibility: "Any client",
    metadata: { author: "platform" },
    allowedTools: "Read Bash(git:*)",
    instructions: "# Format dates\nUse the function.\n",
  });
});

test.each([
  ["no frontmatter", "# hi", 1],
  ["unclosed", "---\nname: a\n", 1],
  ["not YAML", "---\nname: [a\n---\n", 2],
  ["a list", "---\n- a\n---\n", 2],
  ["name missing", "---\ndescription: d\n---\n", 2],
  ["name in capitals", "---\ndescription: d\nname: FmtDate\n---\n", 3],
  ["name with two hyphens", "---\nname: a--b\ndescription: d\n---\n", 2],
  ["name ends in a hyphen", "---\nname: a-\ndescription: d\n---\n", 2],
  ["name too long", `---\nname: ${"a".repeat(65)}\ndescription: d\n---\n`, 2],
  ["description missing", "---\nname: a\n---\n", 2],
  ["description too long", `---\nname: a\ndescription: ${"d".repeat(1025)}\n---\n`, 3],
  ["description is a number", "---\nname: a\ndescription: 7\n---\n", 3],
  ["compatibility too long", `---\nname: a\ndescription: d\ncompatibility: ${"c".repeat(501)}\n---\n`, 4],
  ["metadata nests", "---\nname: a\ndescription: d\nmetadata:\n  b: {c: 1}\n---\n", 4],
  ["unknown field", "---\nname: a\ndescription: d\ntools: x\n---\n", 4],
  ["a field twice", "---\nname: a\nname: b\ndescription: d\n---\n", 3],
  ["half a surrogate pair", '---\nname: a\ndescription: "d\\ud800"\n---\n', 3],
  ["half a pair in metadata", '---\nname: a\ndescription: d\nmetadata:\n  b: "\\udc00"\n---\n', 4],
  ["half a pair below", "---\nname: a\ndescription: d\n---\n\ud800", 1],
  ["aliases", "---\nname: a\ndescription: &d d\nlicense: *d\n---\n", 2],
])("refuses frontmatter with its line: %s", (_name, text, line) => {
  expect(() => parseSkillDocument(text)).toThrow(
    expect.objectContaining({
      code: "invalid_input",
      details: { problems: expect.arrayContaining([expect.objectContaining({ line })]) },
    }),
  );
});

test("the folder must carry the skill's name", () => {
  expect(() => parseSkillDocument(DOCUMENT, "other")).toThrow(/folder/);
});

test.each([
  "",
  "/etc/passwd",
  "../x",
  "a/../../x",
  "a//b",
  "./a",
  "a\\..\\b",
  "C:/x",
  "a\0b",
  "con.txt",
  "a/nul",
  "x.",
  "a ",
  "a:stream",
  `${"a/".repeat(20)}b`,
  "a".repeat(300),
  "\ud800",
])("refuses the path %j", (path) => {
  expect(() => checkSkillPath(path)).toThrow(expect.objectContaining({ code: "invalid_input" }));
});

test("a folder, a zip and a package are the same skill", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skill-"));
  const skill = toSkillPackage(FILES);
  await writeSkillFolder(folder, toSkillFiles(skill));
  const fromFolder = toSkillPackage(await readSkillFolder(folder));
  const zip = writeSkillZip(toSkillFiles(skill));
  const fromZip = toSkillPackage(readSkillZip(zip));
  expect(digestSkill(fromFolder)).toBe(digestSkill(skill));
  expect(digestSkill(fromZip)).toBe(digestSkill(skill));
  expect(writeSkillZip(toSkillFiles(fromZip))).toEqual(zip);
  expect(skill.function).toMatchObject({ servers: ["github"], tools: ["list_*"] });
  expect(skill.files.map((each) => each.path)).toEqual(["logo.png", "references/a.md"]);
  await rm(folder, { recursive: true });
});

test("the digest changes with every part", () => {
  const base = digestSkill(toSkillPackage(FILES));
  expect(digestSkill(toSkillPackage(FILES.toReversed()))).toBe(base);
  const changes = FILES.map(({ path, bytes }) => {
    const text =
      path === "skill.json" ? MANIFEST.replace("github", "gitlab") : `${Buffer.from(bytes).toString("latin1")}x`;
    return [...FILES.filter((each) => each.path !== path), file(path, text)];
  });
  expect(new Set(changes.map((files) => digestSkill(toSkillPackage(files)))).size).toBe(FILES.length);
});

test("summaries tell text from binary", () => {
  expect(summarizeFiles(FILES).map(({ path, isText }) => [path, isText])).toContainEqual(["logo.png", false]);
  expect(decodeText(Uint8Array.from([0xff, 0xfe]))).toBeUndefined();
});

test("refuses a manifest with typos, and one of a function without code", () => {
  const wrong = [file("SKILL.md", DOCUMENT), file("skill.js", ""), file("skill.json", '{"server": []}')];
  expect(() => toSkillPackage(wrong)).toThrow(/`server` is unknown/);
  const codeless = [file("SKILL.md", DOCUMENT), file("skill.json", '{ "servers": ["a"], "timeoutMs": 5 }')];
  expect(() => toSkillPackage(codeless)).toThrow(/skill\.js/);
  const needing = toSkillPackage([file("SKILL.md", DOCUMENT), file("skill.json", '{ "servers": ["a"] }')]);
  expect(needing.needs).toEqual({ servers: ["a"], tools: undefined });
  expect(toSkillPackage(toSkillFiles(needing))).toEqual(needing);
  expect(digestSkill(needing)).not.toBe(digestSkill({ ...needing, needs: undefined }));
});

test("refuses zip slips, symbolic links, twins and broken zips", () => {
  const slip = zipSync({ "SKILL.md": Buffer.from(DOCUMENT), "../evil": Buffer.from("x") });
  expect(() => readSkillZip(slip)).toThrow(expect.objectContaining({ code: "invalid_input" }));
  const link = zipSync({ "SKILL.md": [Buffer.from("/etc/passwd"), { os: 3, attrs: (0o120777 << 16) >>> 0 }] });
  expect(() => readSkillZip(link)).toThrow(/symbolic link/);
  const good = writeSkillZip(FILES);
  for (const broken of [good.subarray(0, 60), Buffer.from("not a zip"), new Uint8Array(0)]) {
    expect(() => readSkillZip(broken)).toThrow(expect.objectContaining({ code: "invalid_input" }));
  }
  expect(() => toSkillPackage([...FILES, file("skill.MD", "x")])).toThrow(/twice/);
});

test("takes one folder around everything off a zip", () => {
  const wrapped = writeSkillZip(FILES.map(({ path, bytes }) => ({ path: `fmt-date/${path}`, bytes })));
  expect(toSkillPackage(readSkillZip(wrapped)).document.name).toBe("fmt-date");
});

test("a bomb and a 100 MB zip are refused with little memory", () => {
  const bomb = zipSync({ "SKILL.md": Buffer.from(DOCUMENT), "zeros.bin": new Uint8Array(200 * 1024 * 1024) });
  expect(bomb.length).toBeLessThan(1024 * 1024);
  const before = process.memoryUsage().rss;
  expect(() => readSkillZip(bomb)).toThrow(expect.objectContaining({ code: "payload_too_large" }));
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  const large = new Uint8Array(100 * 1024 * 1024);
  expect(() => readSkillZip(large)).toThrow(expect.objectContaining({ code: "payload_too_large" }));
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`f${index}`, new Uint8Array(1)]));
  expect(() => readSkillZip(zipSync(many))).toThrow(expect.objectContaining({ code: "payload_too_large" }));
});

test("a folder with a symbolic link or a huge file is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skill-"));
  await writeFile(join(folder, "SKILL.md"), DOCUMENT);
  await symlink("/etc/passwd", join(folder, "link"));
  await expect(readSkillFolder(folder)).rejects.toThrow(/symbolic link/);
  await rm(join(folder, "link"));
  await writeFile(join(folder, "huge.bin"), new Uint8Array(5 * 1024 * 1024));
  await expect(readSkillFolder(folder)).rejects.toThrow(expect.objectContaining({ code: "payload_too_large" }));
  await rm(folder, { recursive: true });
});
