import { realpath } from "node:fs/promises";
import type { ClientDefinition } from "./client-definition.ts";
import type {
  ConfigProblem,
  CoverageEntry,
  DiscoveredInstall,
  DiscoveredServer,
  DiscoveredSkill,
  Facts,
  LooseApproval,
} from "./facts.ts";
import { isBelow } from "./is-below.ts";
import { TargetReader } from "./launch-target.ts";
import { isMembers } from "./server-entries.ts";
import { readRuleFile, readSkillFolder, type SkillSearch } from "./skill-files.ts";

/** Of all skills of a home that are kept to be judged together; what comes after is told of as not judged. */
const TEXT_CHARACTERS_MAX = 64 * 1024 * 1024;

/** Gathers what one home tells. What was `seen` before, in this home or in another that shares it, is not taken again. */
export class Collector {
  readonly servers: DiscoveredServer[] = [];
  readonly installs: DiscoveredInstall[] = [];
  readonly problems: ConfigProblem[] = [];
  readonly coverage: CoverageEntry[] = [];
  readonly projects = new Set<string>();
  configsRead = 0;
  readonly #skills: DiscoveredSkill[] = [];
  readonly #locks: { readonly folder: string; readonly sources: ReadonlyMap<string, string> }[] = [];
  readonly #approvals: LooseApproval[] = [];
  #textLeft = TEXT_CHARACTERS_MAX;
  readonly #skipped = new Set<string>();
  readonly #seen: Set<string>;
  readonly #filesHere = new Set<string>();
  readonly #search: SkillSearch;

  /** The programs that its servers run. */
  readonly targets: TargetReader;

  constructor(home: string, seen = new Set<string>()) {
    this.#search = { home, onUnread: this.skip };
    this.targets = new TargetReader(home);
    this.#seen = seen;
  }

  /** Takes a file or folder for one use, once, by whatever path or link it is reached. */
  async claims(path: string, use: string): Promise<boolean> {
    const claim = `${await realpath(path).catch(() => path)}\0${use}`;
    const isFirst = !this.#seen.has(claim);
    this.#seen.add(claim);
    return isFirst;
  }

  /**
   * The same file is read once for the same keys, by whatever path or link it is reached. A place with several keys is left out too where this home
   * had the file for others: only here, for another home MUST NOT be able to hide a file by a link to it.
   */
  async isNew(path: string, keys: readonly string[]): Promise<boolean> {
    const real = await realpath(path).catch(() => path);
    const isForOthers = keys.length > 1 && this.#filesHere.has(real);
    this.#filesHere.add(real);
    return (await this.claims(real, keys.join())) && !isForOthers;
  }

  /** Says that something that is there, or should be, was not read. */
  readonly skip = (place: string, reason: string): void => {
    if (this.#skipped.has(place)) return;
    this.#skipped.add(place);
    this.coverage.push({ target: "host", place, status: "skipped", reason });
  };

  /** What a lock file says holds for the skills of its folder. */
  addLock(folder: string, sources: ReadonlyMap<string, string>): void {
    if (sources.size > 0) this.#locks.push({ folder, sources });
  }

  /** A project in the home's own folder names the same file again. */
  async addApproval(found: LooseApproval | undefined): Promise<void> {
    if (found !== undefined && (await this.claims(found.path, found.key))) this.#approvals.push(found);
  }

  addProblem(client: ClientDefinition, problem: Omit<ConfigProblem, "client">): void {
    this.problems.push({ client: client.id, ...problem });
  }

  /** Claude Code and Codex name the projects they know in their own files. */
  addProjectsOf(config: unknown): void {
    if (!isMembers(config) || !isMembers(config["projects"])) return;
    for (const path of Object.keys(config["projects"]).slice(0, 1000))
      if (/^(?:\/|[A-Za-z]:[\\/])/.test(path)) this.projects.add(path);
  }

  async addSkills(folder: string): Promise<void> {
    for await (const skill of readSkillFolder(folder, this.#search)) await this.#addSkill(skill);
  }

  async addRules(path: string): Promise<void> {
    const rules = await readRuleFile(path, this.skip);
    if (rules !== undefined) await this.#addSkill(rules);
  }

  async #addSkill(skill: DiscoveredSkill): Promise<void> {
    if (!(await this.claims(skill.path, skill.kind))) return;
    const size = skill.files.reduce((sum, { text }) => sum + text.length, 0);
    const fits = size <= this.#textLeft;
    if (fits) this.#textLeft -= size;
    const paths = skill.files.map(({ path }) => path);
    this.#skills.push(fits ? skill : { ...skill, files: [], opaque: [...paths, ...skill.opaque] });
  }

  facts(): Facts {
    const { servers, installs, problems, coverage, configsRead } = this;
    const looseApprovals = this.#approvals;
    return { servers, installs, problems, coverage, configsRead, looseApprovals, skills: this.#sourcedSkills() };
  }

  /** The nearest lock file that names a skill decides. */
  #sourcedSkills(): DiscoveredSkill[] {
    const nearest = this.#locks.toSorted((left, right) => right.folder.length - left.folder.length);
    return this.#skills.map((skill) => {
      const lock = nearest.find(({ folder, sources }) => isBelow(skill.path, folder) && sources.has(skill.name));
      return { ...skill, source: lock?.sources.get(skill.name) };
    });
  }
}
