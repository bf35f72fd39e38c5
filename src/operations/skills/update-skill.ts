import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { isGuardian } from "../../domain/role.ts";
import type { Skill, SkillContent, SkillVersion } from "../../domain/skill.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext } from "../context.ts";
import { createdBy } from "../created-by.ts";
import { defineOperation } from "../define-operation.ts";
import { clearable, ExpectedVersionField, RefField } from "../fields.ts";
import { refuseScopedRename } from "../policies/scoped-change.ts";
import { requireVersion } from "../require-version.ts";
import { rulesOf } from "./create-skill.ts";
import { addsPower, type JudgedContent, judgeContent, prepareJudge, stateOf } from "./judge-version.ts";
import { toSkillContent } from "./skill-content.ts";
import { skillFields } from "./skill-fields.ts";
import { ScanOutput, showScan, showSkill, SkillOutput } from "./skill-output.ts";

const VersionField = z.int().min(1).optional();

const Input = z.object({
  id: RefField.describe("Skill, by id or name"),
  name: skillFields.name.optional(),
  description: skillFields.description.optional(),
  instructions: skillFields.instructions.nullable().optional(),
  code: skillFields.code.nullable().optional(),
  inputSchema: skillFields.inputSchema.nullable().optional(),
  outputSchema: skillFields.outputSchema.nullable().optional(),
  servers: clearable(skillFields.servers, []),
  tools: skillFields.tools.nullable().optional(),
  files: clearable(skillFields.files, []),
  timeoutMs: skillFields.timeoutMs.nullable().optional(),
  license: skillFields.license.nullable().optional(),
  compatibility: skillFields.compatibility.nullable().optional(),
  metadata: skillFields.metadata.nullable().optional(),
  allowedTools: skillFields.allowedTools.nullable().optional(),
  version: VersionField.describe("Alone: roll back to this version"),
  approveVersion: VersionField.describe("Alone: let this pending version serve; needs `security` or above"),
  expectedVersion: ExpectedVersionField,
});

type Input = z.output<typeof Input>;

const NOT_CHANGES: ReadonlySet<string> = new Set(["id", "expectedVersion"]);
const SECURITY_FIELDS: ReadonlySet<string> = new Set([...NOT_CHANGES, "name", "version", "approveVersion"]);

/** Makes a new version of a skill, goes back to an older one, or approves one that waits. */
export const updateSkill = defineOperation({
  name: "update_skill",
  title: "Update skill",
  description:
    "Makes a new version of a skill from the fields given; agents get it at their next call, connections stay open. A version whose scan finds a danger is stored as `blocked`, one that waits for security as `pending`; the previous version keeps serving. `version` alone rolls back, `approveVersion` alone approves. Returns the skill and the scan of the version.",
  route: "PATCH /skills/{id}",
  command: "skills update",
  roles: ["owner", "admin", "security", "operator"],
  effect: "write",
  action: "skill.update",
  input: Input,
  output: z.object({ skill: SkillOutput, scan: ScanOutput }),
  async prepare(input) {
    await prepareJudge(input);
    return (context) => update(input, context);
  },
  event: ({ skill, scan }, input) => ({
    resource: { type: "skill", id: skill.id, name: skill.name },
    details: {
      changed: Object.keys(input).filter((field) => !NOT_CHANGES.has(field)),
      version: scan.version,
      state: scan.state,
      risk: scan.risk,
      rules: rulesOf(scan),
      servingVersion: skill.servingVersion,
    },
  }),
  summarize: ({ skill, scan }) =>
    `Skill \`${skill.name}\` (${skill.id}): version ${scan.version} is ${scan.state}, risk ${scan.risk}; agents get version ${skill.servingVersion ?? "none"}.`,
});

async function update(input: Input, context: HandleContext) {
  const { repositories } = context;
  const current = await repositories.skills.get(input.id);
  requireVersion(current, input.expectedVersion);
  requireAlone(input);
  if (context.caller.role === "security") refuseContent(input);
  const { skill, version } = await change(current, input, context);
  if (skill !== current) await repositories.skills.save(skill);
  const shown = await showSkill(skill, context, { version: version.version });
  return { skill: shown, scan: showScan(version) };
}

interface Changed {
  readonly skill: Skill;
  /** The version that the answer is about. */
  readonly version: SkillVersion;
}

async function change(current: Skill, input: Input, context: HandleContext): Promise<Changed> {
  if (input.version !== undefined) return rollBack(current, input.version, context);
  if (input.approveVersion !== undefined) return approve(current, input.approveVersion, context);
  return revise(current, input, context);
}

async function rollBack(current: Skill, number: number, { repositories, now }: HandleContext): Promise<Changed> {
  const version = await repositories.skills.getVersion(current.id, number);
  if (version.state !== "approved") {
    throw new AppError("conflict", `version ${number} is ${version.state} and cannot serve`, {
      details: { field: "version", state: version.state },
    });
  }
  return { skill: serve(current, version, now), version };
}

async function approve(current: Skill, number: number, context: HandleContext): Promise<Changed> {
  const { repositories, caller, now } = context;
  if (!isGuardian(caller.role)) {
    throw new AppError("forbidden", "`approveVersion` needs `security`, `admin` or `owner`", {
      details: { field: "approveVersion" },
    });
  }
  const version = await repositories.skills.getVersion(current.id, number);
  if (version.state !== "pending") {
    throw new AppError("conflict", `version ${number} is ${version.state}; only a pending one can be approved`, {
      details: { field: "approveVersion", state: version.state },
    });
  }
  // What a newer one brought is not taken back by an approval; approved without serving would look like a success.
  if (number < (current.servingVersion ?? 0)) throw lateApproval(number, current.servingVersion);
  const approved: SkillVersion = { ...version, state: "approved", approvedBy: createdBy(caller) };
  await repositories.skills.saveVersionState(approved);
  const skill = serve(current, approved, now);
  // A newer one that waits stays the latest: its author's next patch builds on it.
  return { skill: { ...skill, latestVersion: Math.max(number, current.latestVersion) }, version: approved };
}

function lateApproval(number: number, servingVersion: number | null): AppError {
  return new AppError(
    "conflict",
    `version ${servingVersion}, which serves, is newer than version ${number}; have the changes of version ${number} sent again, which applies them to what serves, or go back with \`version\` to one before it first`,
    { details: { field: "approveVersion", servingVersion } },
  );
}

async function revise(current: Skill, input: Input, context: HandleContext): Promise<Changed> {
  const { repositories, now } = context;
  const name = input.name ?? current.name;
  await refuseScopedRename(current.id, { before: current.name, after: name }, context);
  const found = await findBase(current, name, context);
  const judged = await judgeContent(name, await toSkillContent(input, repositories, found.base.content));
  const version = await toNextVersion(current, judged, { input, context, ...found });
  const same = [found.base, found.latest].find((before) => isUnchanged(version, before));
  if (same !== undefined) return { skill: current, version: same };
  const isServed = version.state === "approved";
  if (!isServed && found.serving !== undefined && name !== current.name) throw earlyRename(version);
  await repositories.skills.insertVersion(version);
  const renamed = { ...current, name };
  if (isServed) return { skill: serve(renamed, version, now), version };
  const { risk } = version;
  return {
    skill: { ...renamed, risk, latestVersion: version.version, version: version.version, updatedAt: now },
    version,
  };
}

/** What a patch is applied to, beside what serves and what is the latest. */
interface Base {
  readonly base: SkillVersion;
  readonly serving: SkillVersion | undefined;
  readonly latest: SkillVersion;
}

/**
 * What waits is a base for its author only, or somebody else's edit would put it in service unread; what is blocked is none while
 * another serves. A new name holds at once, and so goes with what serves.
 */
async function findBase(current: Skill, name: string, { repositories, caller }: HandleContext): Promise<Base> {
  const { id, servingVersion, latestVersion } = current;
  const latest = await repositories.skills.getVersion(id, latestVersion);
  if (servingVersion === null) return { base: latest, serving: undefined, latest };
  const serving = servingVersion === latestVersion ? latest : await repositories.skills.getVersion(id, servingVersion);
  const isOwn = latest.state === "pending" && latest.createdBy.id === createdBy(caller).id;
  return { base: isOwn && name === current.name ? latest : serving, serving, latest };
}

/** A patch, the version that it is applied to, and who applies it. */
interface Revision {
  readonly input: Input;
  readonly base: SkillVersion;
  readonly serving: SkillVersion | undefined;
  readonly context: HandleContext;
}

async function toNextVersion(current: Skill, judged: JudgedContent, revision: Revision): Promise<SkillVersion> {
  const { repositories, caller, now } = revision.context;
  const { settings } = await repositories.organization.get();
  const state = stateOf(judged, { settings, role: caller.role, serving: revision.serving });
  const isWaiting = state === "approved" && settings.skillApproval !== "off" && keepsUnread(judged.content, revision);
  return {
    skillId: current.id,
    version: current.version + 1,
    digest: judged.digest,
    state: isWaiting ? "pending" : state,
    risk: judged.scan.risk,
    evidence: judged.scan.evidence,
    content: judged.content,
    createdBy: createdBy(caller),
    approvedBy: null,
    createdAt: now,
  };
}

/**
 * Whether the patch leaves in place what nobody approved: changing the words is no approval of the code. What waits can hold the
 * work of others whoever made its latest version.
 */
function keepsUnread(content: SkillContent, { input, base, serving, context }: Revision): boolean {
  if (base.state === "approved") return false;
  // Its own first version is nobody else's work.
  if (base.version === 1 && base.createdBy.id === createdBy(context.caller).id) return false;
  const kept: SkillContent = {
    ...content,
    function: input.code === undefined ? content.function : undefined,
    servers: input.servers === undefined ? content.servers : [],
    tools: input.tools === undefined ? content.tools : [],
    allowedTools: input.allowedTools === undefined ? content.allowedTools : undefined,
    files: input.files === undefined ? content.files : [],
  };
  return addsPower(kept, serving?.content);
}

/** A name is the skill's, not a version's: agents would call what serves by the new one before anybody approved it. */
function earlyRename({ state }: SkillVersion): AppError {
  return new AppError(
    "conflict",
    `this version would be ${state}, and a new \`name\` holds at once; change \`name\` in a call of its own`,
    { details: { field: "name", state } },
  );
}

/**
 * Whether the version would be one that is there already. What waits is not, for who may put it in service. The digest knows
 * servers by their names only, and another may bear one by now.
 */
function isUnchanged({ digest, content, state }: SkillVersion, before: SkillVersion): boolean {
  const isSameReach = isDeepStrictEqual(
    [content.servers, content.tools],
    [before.content.servers, before.content.tools],
  );
  const isSameStanding = before.state === "approved" || (before.state === "pending" && state === "pending");
  return digest === before.digest && isSameReach && isSameStanding;
}

function serve(skill: Skill, { version, content, risk }: SkillVersion, now: number): Skill {
  return {
    ...skill,
    description: content.description,
    risk,
    latestVersion: version,
    servingVersion: version,
    version: skill.version + 1,
    updatedAt: now,
  };
}

function requireAlone(input: Input): void {
  const fields = Object.entries(input).flatMap(([field, value]) =>
    value === undefined || NOT_CHANGES.has(field) ? [] : [field],
  );
  const alone = fields.find((field) => field === "version" || field === "approveVersion");
  if (alone === undefined || fields.length === 1) return;
  throw new AppError("invalid_input", `\`${alone}\` stands alone; change other fields in a call of its own`, {
    details: { field: alone },
  });
}

/** `security` decides which version serves, and renames what a policy names. */
function refuseContent(input: Input): void {
  const field = Object.entries(input).find(([name, value]) => value !== undefined && !SECURITY_FIELDS.has(name))?.[0];
  if (field === undefined) return;
  throw new AppError("forbidden", `\`${field}\` needs \`operator\`, \`admin\` or \`owner\``, { details: { field } });
}
