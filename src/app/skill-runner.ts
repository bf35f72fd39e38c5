import type { SkillVersion } from "../domain/skill.ts";
import type {
  InnerCall,
  InnerCallOptions,
  InnerCallOutcome,
  InnerRefusal,
  SkillRunner,
} from "../gateway/aggregate/ports.ts";
import type { Clock } from "../lib/clock.ts";
import { lazily } from "../lib/lazily.ts";
import { toPackage } from "../operations/skills/skill-content.ts";
import type { RunProgress } from "../skills/runner/ports.ts";
import { createSkillRunner, type RunnableSkill } from "../skills/runner/skill-runner.ts";

export interface SkillRunnerParts {
  readonly clock: Clock;
  readonly stack: AsyncDisposableStack;
  readonly toolCaller: SkillToolCaller;
}

/** The gateway's side of a running skill. */
export interface SkillToolCaller {
  callTool(call: InnerCall, options: InnerCallOptions): Promise<InnerCallOutcome>;
  recheck(call: InnerCall): Promise<InnerRefusal | undefined>;
}

/** The sandbox as the gateway's runner. Threads start with the first run. */
export function openSkillRunner({ clock, stack, toolCaller }: SkillRunnerParts): SkillRunner {
  const runner = createSkillRunner({ clock, toolCaller });
  stack.defer(() => runner.close());
  const filesOf = new WeakMap<SkillVersion, Readonly<Record<string, Uint8Array>>>();
  return {
    async run({ name, version, onProgress, ...run }) {
      return runner.run({
        ...run,
        skill: toRunnable(name, version),
        onProgress: (progress) => onProgress(toMessage(progress)),
      });
    },
    async files(name, version) {
      const known = filesOf.get(version) ?? (await readFiles(name, version));
      filesOf.set(version, known);
      return known;
    },
  };
}

function toRunnable(name: string, { content }: SkillVersion): RunnableSkill {
  const { function: declared, servers, tools } = content;
  if (declared === undefined) throw new Error("invariant violated: only skills with a function run");
  return { name, ...declared, servers: servers.map((server) => server.name), tools };
}

const loadPackage = lazily(() => import("../skills/package/skill-package.ts"));

async function readFiles(name: string, { content }: SkillVersion): ReturnType<SkillRunner["files"]> {
  const { toSkillFiles } = await loadPackage();
  return Object.fromEntries(toSkillFiles(toPackage(name, content)).map(({ path, bytes }) => [path, bytes]));
}

function toMessage(progress: RunProgress): string {
  if (progress.type === "log") return progress.text;
  const tool = `${progress.server}/${progress.tool}`;
  if (progress.type === "held") return `${tool} waits for an approval`;
  if (progress.type === "call") return progress.state === "started" ? `calls ${tool}` : `${tool} has answered`;
  return `${tool}: ${progress.message ?? ""}`;
}
