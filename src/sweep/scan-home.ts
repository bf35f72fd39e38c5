import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { readVariable } from "../lib/read-variable.ts";
import { APPROVAL_SETTINGS } from "./approval-settings.ts";
import type { ClientDefinition, ConfigPlace } from "./client-definition.ts";
import { CLIENTS } from "./clients.ts";
import type { CoverageEntry, Facts } from "./facts.ts";
import { Collector } from "./home-collector.ts";
import { createLineFinder } from "./line-finder.ts";
import { parseConfig } from "./parse-config.ts";
import { mayOthersWrite, readBoundedText, readBoundedWith, unreadReason } from "./read-bounded.ts";
import { textInPropertyList } from "./property-list.ts";
import { readApproval } from "./read-approval.ts";
import { namedProjects } from "./named-projects.ts";
import { type HomeContext, isProjectPath, resolveInProject, resolvePlace } from "./resolve-places.ts";
import { entryFaultsOf, serverEntriesOf } from "./server-entries.ts";
import { RULE_FILES } from "./skill-files.ts";
import { projectLock, readSkillLock } from "./skill-locks.ts";
import { WALK_LIMITS, type WalkAnswer, type WalkLimits, walkHome } from "./walk-home.ts";

export interface ScanHomeOptions extends HomeContext {
  readonly walkLimits?: WalkLimits | undefined;
  /** What was read already; homes that share it count each file once. They MUST be read in the order of `outermostFirst`. */
  readonly seen?: Set<string> | undefined;
}

/**
 * Everything that one home tells: servers, skills, installs, files that could not be read. Reads only; starts nothing. When the signal fires it gives
 * what it has, and its coverage says that this is not all.
 */
export async function scanHome({ seen, walkLimits, ...given }: ScanHomeOptions): Promise<Facts> {
  const { home, signal } = given;
  const collector = new Collector(home, seen);
  const context: HomeContext = { ...given, onUnread: collector.skip };
  for (const client of CLIENTS) {
    if (signal?.aborted === true) break;
    await readClient(client, context, collector);
    await findInstall(client, context, collector);
  }
  for (const path of SKILL_LOCKS) {
    for (const lock of await resolvePlace(path, context)) collector.addLock(home, await readSkillLock(lock));
  }
  const walk = await walkHome(home, PROJECT_NAMES, { ...WALK_LIMITS, ...walkLimits, signal });
  for (const folder of walk.denied) collector.skip(folder, "no permission");
  for (const project of new Set([...walk.projects, ...collector.projects, ...(await namedProjects(context))])) {
    if (signal?.aborted === true) break;
    await readProject(project, collector);
  }
  collector.coverage.push({ target: "host", place: home, ...howFar(walk, signal) });
  return collector.facts();
}

function howFar(
  { stoppedBy }: WalkAnswer,
  signal?: AbortSignal,
): Pick<CoverageEntry, "status" | "reason" | "isRepeatable"> {
  if (signal?.aborted === true) return { status: "partial", reason: "stopped before the end" };
  if (stoppedBy === undefined) return { status: "read" };
  // The same depth is left out each time; entries and time depend on the day.
  const isRepeatable = stoppedBy === "depth" ? true : undefined;
  return { status: "partial", reason: `the walk for projects stopped at its limit of ${stoppedBy}`, isRepeatable };
}

const SKILL_LOCKS = ["~/.agents/.skill-lock.json", "~/.local/state/skills/.skill-lock.json"] as const;

/** First path segments that make a folder a project worth looking into. */
const PROJECT_NAMES: ReadonlySet<string> = new Set(
  [
    ...CLIENTS.flatMap((client) => [...client.configs.map(({ path }) => path), ...client.skills]).filter(isProjectPath),
    ...RULE_FILES,
  ]
    .map((path) => path.split("/")[0] ?? path)
    // `config` is a folder of nearly every project, and not a sign of one.
    .filter((name) => !name.includes("*") && name !== "config"),
);

async function readClient(client: ClientDefinition, context: HomeContext, collector: Collector): Promise<void> {
  for (const place of client.configs) {
    if (isProjectPath(place.path) || place.on?.includes(context.platform) === false) continue;
    for (const path of await placePaths(place, context)) await readConfigFile(client, { place, path }, collector);
  }
  for (const pattern of client.skills.filter((path) => !isProjectPath(path))) {
    for (const folder of await resolvePlace(pattern, context)) await collector.addSkills(folder);
  }
  for (const setting of APPROVAL_SETTINGS.filter(({ client: id, path }) => id === client.id && !isProjectPath(path))) {
    for (const path of await resolvePlace(setting.path, context)) {
      await collector.addApproval(await readApproval(setting, path));
    }
  }
}

async function findInstall(client: ClientDefinition, context: HomeContext, collector: Collector): Promise<void> {
  const { id, title, kind } = client;
  const path = await firstSign(client, context);
  if (path === undefined || !(await collector.claims(path, id))) return;
  collector.installs.push({ client: id, title, kind, path, isRunning: false });
}

/** What shows that a client is installed; the rest of its signs says no more. */
async function firstSign(client: ClientDefinition, context: HomeContext): Promise<string | undefined> {
  for (const sign of [...client.signs, ...programPlaces(client)]) {
    const [path] = await existing(await resolvePlace(sign, context));
    if (path !== undefined) return path;
  }
  return undefined;
}

/** Where package managers put programs; `PATH` is not asked, for it is unknown for another person's home. */
const PROGRAM_FOLDERS = [
  "~/.local/bin",
  "~/.volta/bin",
  "~/.nvm/current/bin",
  "~/.nvm/versions/node/*/bin",
  "~/.npm-global/bin",
  "~/.bun/bin",
  "~/bin",
  "~/node_modules/.bin",
  "/usr/local/bin",
  "/usr/bin",
  "/opt/homebrew/bin",
] as const;

function programPlaces({ programs }: ClientDefinition): string[] {
  const windows = programs.map((program) => `~/AppData/Roaming/npm/${program}.cmd`);
  return [...programs.flatMap((program) => PROGRAM_FOLDERS.map((folder) => `${folder}/${program}`)), ...windows];
}

async function placePaths(place: ConfigPlace, context: HomeContext): Promise<string[]> {
  const folder = place.movedBy === undefined ? undefined : readVariable(context.env, place.movedBy.variable);
  const moved =
    folder === undefined || place.movedBy === undefined
      ? []
      : await resolveInProject(place.movedBy.path, folder, context.onUnread);
  return [...moved, ...(await resolvePlace(place.path, context))];
}

async function readProject(project: string, collector: Collector): Promise<void> {
  const names = new Set(await namesIn(project, collector));
  // One listing spares an attempt to open each of sixty files in each of a thousand projects.
  const isPresent = (path: string): boolean => path.startsWith("*") || names.has(path.split("/")[0] ?? path);
  for (const client of CLIENTS) {
    for (const place of client.configs.filter(({ path }) => isProjectPath(path) && isPresent(path))) {
      for (const path of await resolveInProject(place.path, project, collector.skip))
        await readConfigFile(client, { place, path }, collector);
    }
    for (const pattern of client.skills.filter((path) => isProjectPath(path) && isPresent(path))) {
      await collector.addSkills(join(project, pattern));
    }
  }
  for (const setting of APPROVAL_SETTINGS.filter(({ path }) => isProjectPath(path) && isPresent(path)))
    await collector.addApproval(await readApproval(setting, join(project, setting.path)));
  if (names.has("skills-lock.json")) collector.addLock(project, await readSkillLock(projectLock(project)));
  for (const name of RULE_FILES.filter(isPresent)) await collector.addRules(join(project, name));
}

/** A client named it, or the walk found it: one that is not there now may be on a disk that is away, and what it configures is unknown. */
async function namesIn(project: string, collector: Collector): Promise<readonly string[]> {
  try {
    return await readdir(project);
  } catch (error) {
    collector.skip(project, unreadReason(error) ?? "the project is not there");
    return [];
  }
}

interface PlacedFile {
  readonly place: ConfigPlace;
  readonly path: string;
}

function managedToml(bytes: Buffer): string {
  return Buffer.from(textInPropertyList(bytes, "config_toml_base64") ?? "", "base64").toString("utf8");
}

async function readConfigFile(
  client: ClientDefinition,
  { place, path }: PlacedFile,
  collector: Collector,
): Promise<void> {
  const read = place.format === "toml-plist" ? await readBoundedWith(path, managedToml) : await readBoundedText(path);
  if (read.status === "missing") return;
  // Of each home, also where another one shares the file: what it tells there is unknown now.
  if (read.status === "unreadable") return collector.skip(path, read.reason);
  if (!(await collector.isNew(path, place.keys))) return;
  if (read.status === "malformed")
    return collector.addProblem(client, { path, line: 1, column: 1, reason: read.reason });
  const parsed = parseConfig(read.text, place.format);
  if (parsed.status === "malformed") {
    const { line, column, reason } = parsed;
    return collector.addProblem(client, { path, line, column, reason });
  }
  collector.configsRead += 1;
  collector.addProjectsOf(parsed.value);
  const lineOfFault = createLineFinder(read.text);
  for (const { name, reason } of entryFaultsOf(parsed.value, place.keys)) {
    collector.addProblem(client, { path, line: lineOfFault(name) ?? 1, column: 1, reason });
  }
  const lineOfServer = createLineFinder(read.text);
  for (const entry of serverEntriesOf(parsed.value, place.keys)) {
    const hasUnsafePermissions = mayOthersWrite(read.mode);
    collector.servers.push({
      ...entry,
      target: await collector.targets.find(entry),
      source: "config",
      client: client.id,
      scope: place.scope,
      path,
      line: lineOfServer(entry.name),
      hasUnsafePermissions,
    });
  }
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const stats = await Promise.allSettled(paths.map((path) => lstat(path)));
  return paths.filter((_path, index) => stats[index]?.status === "fulfilled");
}
