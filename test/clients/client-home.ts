import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";

/** What a client's program said and how it ended. */
export interface ClientRun {
  readonly code: number | null;
  /** Standard output and standard error. */
  readonly said: string;
}

/** A home and a project folder for real clients, so that nothing of the machine's own configuration is read or changed. */
export interface ClientHome {
  readonly home: string;
  readonly project: string;
  readonly env: Readonly<Record<string, string>>;
  /** Path of an installed client's program. */
  program(name: string): string;
  run(program: string, args: readonly string[]): Promise<ClientRun>;
  remove(): void;
}

const RUN_MS_MAX = 45_000;

/** Takes the folder that `.ci/clients.sh` installed the clients into. Throws where it is not set. */
export function makeClientHome(): ClientHome {
  const installed = installFolder();
  const folder = mkdtempSync(join(tmpdir(), "runlayer-clients-"));
  const [home, project] = [join(folder, "home"), join(folder, "project")];
  mkdirSync(home);
  mkdirSync(project);
  const env = {
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    CODEX_HOME: join(home, ".codex"),
    // Gemini connects to no server in a folder that nobody has trusted.
    GEMINI_CLI_TRUST_WORKSPACE: "true",
  };
  const program = (name: string): string => join(installed, "node_modules/.bin", name);
  return {
    home,
    project,
    env,
    program,
    async run(name, args) {
      const options = { cwd: project, env, timeout: RUN_MS_MAX };
      const child = spawn(program(name), args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
      const [out, err] = [text(child.stdout), text(child.stderr)];
      await once(child, "close");
      return { code: child.exitCode, said: (await out) + (await err) };
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A home in which npm installed the real OpenClaw as its owner's program. */
export function openclawHome(): string {
  return join(installFolder(), "openclaw-home");
}

function installFolder(): string {
  const installed = process.env["RUNLAYER_CLIENTS_DIR"];
  if (installed === undefined) throw new Error("the clients are not installed; run `.ci/clients.sh`");
  return installed;
}
