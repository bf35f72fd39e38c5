import { inspect } from "node:util";
import { openStage, type Stage } from "./stage.ts";
import { tell, type Narrator, type StoryEnd } from "./story.ts";

/*
 * `npm run demo`: the real server with two real MCP servers behind it, told as a story. It stays up for a person to go on with;
 * `--once` (or CI=true) ends it after the story. Everything lives in the temporary folder and is removed at the end.
 */

const print = (text: string): void => void process.stdout.write(`${text}\n`);

let chapters = 0;
const narrator: Narrator = {
  chapter(title) {
    chapters += 1;
    print(`\n${chapters}. ${title}`);
  },
  claim(isTrue, text) {
    if (!isTrue) throw new Error(`this should be true and is not: ${text}`);
    print(`   ✓ ${text}`);
  },
  line: (text) => print(`     ${text}`),
};

const isOnce = process.argv.includes("--once") || process.env["CI"] === "true";
// From the start: a Ctrl-C in the middle of the story has to clean up as well.
const interrupted = new Promise<"interrupted">((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve("interrupted"));
});

try {
  await run();
} catch (error) {
  process.stderr.write(`\nthe demo failed: ${inspect(error)}\n`);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  print("Runlayer demo: a real server with two real MCP servers, in a temporary folder");
  await using stage = await openStage();
  print(`Runlayer serves at ${stage.url}, data in ${stage.dataDir}`);
  const end = await Promise.race([tell(stage, narrator), interrupted]);
  if (end === "interrupted" || isOnce) return;
  print(toPaste(stage, end));
  await interrupted;
  print("\nStopping, and removing the temporary folder.");
}

function toPaste({ url, ownerKey }: Stage, { writerKey, writerConfig }: StoryEnd): string {
  const claude = (name: string, path: string, key: string): string =>
    `claude mcp add --transport http ${name} ${url}${path} --header "Authorization: Bearer ${key}"`;
  return [
    "",
    "It stays up until Ctrl-C; then everything is removed. Lines to paste:",
    "",
    "  # administer it from your AI client",
    `  ${claude("runlayer", "/mcp", ownerKey)}`,
    "  # or from a shell",
    `  export RUNLAYER_URL=${url} RUNLAYER_API_KEY=${ownerKey}`,
    "  npx runlayer audit list --order desc --limit 5",
    "  # be release-writer",
    `  ${claude("files", "/gateway/files/mcp", writerKey)}`,
    "",
    "  # what create_agent gave for release-writer's client",
    ...writerConfig.split("\n").map((line) => `  ${line}`),
  ].join("\n");
}
