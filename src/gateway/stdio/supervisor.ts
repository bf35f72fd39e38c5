import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { resolveIsolation, type StdioIsolation } from "./isolation.ts";
import { type KillLadder, startChild, type StdioChild, type StdioSpec } from "./start-child.ts";

/** A line of a child's standard error, for the structured log. */
export interface ChildLogLine {
  readonly label: string;
  readonly text: string;
  /** Lines dropped before this one, because the child wrote too many. */
  readonly dropped: number;
}

export interface SupervisorOptions {
  /** `RUNLAYER_STDIO_USER`; a wrong one throws `invalid_input`. */
  readonly user?: string | undefined;
  /** What children must not see: the data folder and the key file. They MUST be readable by the gateway's account only. */
  readonly hiddenPaths: readonly string[];
  readonly maskText: (text: string) => string;
  readonly log: (line: ChildLogLine) => void;
  readonly ladder?: KillLadder | undefined;
  readonly childrenMax?: number | undefined;
}

/** Starts stdio servers and answers for their end: with the gateway, whatever ends it. */
export interface StdioSupervisor {
  readonly isolation: StdioIsolation;
  /** Throws `forbidden`, `invalid_input` (working directory), `limit_exceeded` or `upstream_error`; nothing runs then. */
  start(spec: StdioSpec): Promise<StdioChild>;
  /** How many children live. */
  count(): number;
  /** Stops every child; later starts are refused. */
  close(): Promise<void>;
}

const LADDER: KillLadder = { stdinCloseMs: 2000, sigtermMs: 2000 };
// A child of Node takes about 50 MB: more than this many would be the machine's end before it is a use.
const CHILDREN_MAX = 500;

/** Chooses the isolation now, so that the start can say what is wrong with it. */
export function createStdioSupervisor(options: SupervisorOptions): StdioSupervisor {
  const isolation = resolveIsolation({ user: options.user, euid: process.geteuid?.() });
  const children = new Set<StdioChild>();
  const childrenMax = options.childrenMax ?? CHILDREN_MAX;
  let starting = 0;
  let isClosed = false;

  function checkRoom(): void {
    if (isClosed) throw new AppError("unavailable", "the gateway is stopping; try again later");
    if (children.size + starting < childrenMax) return;
    throw new AppError(
      "limit_exceeded",
      `${childrenMax} stdio servers run already; end sessions or mark servers \`shareable\``,
    );
  }

  async function start(spec: StdioSpec): Promise<StdioChild> {
    checkRoom();
    checkFolder(spec.cwd);
    starting += 1;
    try {
      const child = await startChild(spec, {
        isolation,
        hiddenPaths: options.hiddenPaths,
        maskText: options.maskText,
        onLine: (line) => options.log({ label: spec.label, ...line }),
        ladder: options.ladder ?? LADDER,
      });
      children.add(child);
      void child.exited.then(() => children.delete(child));
      // Closing may have begun while the child started.
      if (isClosed) await child.stop();
      return child;
    } finally {
      starting -= 1;
    }
  }

  return {
    isolation,
    start,
    count: () => children.size,
    async close() {
      isClosed = true;
      await Promise.all([...children].map((child) => child.stop()));
    },
  };
}

/** What can be said before a start; whether the account may enter is seen by the start itself. */
function checkFolder(cwd: string | null | undefined): void {
  if (cwd === undefined || cwd === null) return;
  if (!isAbsolute(cwd)) throw wrongFolder(`\`${cwd}\` is not absolute; give the full path`);
  const found = statSync(cwd, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true)
    throw wrongFolder(`\`${cwd}\` is no folder of this machine; create it or name another`);
}

function wrongFolder(fault: string): AppError {
  return new AppError("invalid_input", `\`cwd\` ${fault}`, { details: { field: "cwd" } });
}
