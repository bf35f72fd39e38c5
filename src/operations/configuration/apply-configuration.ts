import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { escapeHidden } from "../../lib/escape-hidden.ts";
import type { HandleContext, PrepareContext } from "../context.ts";
import { defineOperation, type Answer, type OperationCall } from "../define-operation.ts";
import { resolveGroups } from "../groups.ts";
import { ConfigurationField, refuseReferences, refuseRepeats, type Configuration } from "./configuration-input.ts";
import { planConfiguration, type Plan, type Step } from "./plan.ts";

/** Each replay takes up to seconds: with more policies than this the later ones are not replayed. */
const REPLAYS_MAX = 20;

const Input = z.object({
  configuration: ConfigurationField.describe("What there should be; a field that is not named stays as it is"),
  prune: z
    .boolean()
    .optional()
    .describe("Delete servers, agents and policies that the configuration does not name; needs `confirm`"),
  confirm: z.boolean().optional().describe("Set true for deletions and for rules that would cut off every agent"),
});

type Input = z.output<typeof Input>;

const Change = z.object({
  kind: z.enum(["settings", "server", "agent", "policy"]),
  name: z.string(),
  action: z.enum(["create", "update", "delete"]),
  diff: z.array(z.object({ field: z.string(), before: z.unknown().optional(), after: z.unknown().optional() })),
  impact: z.unknown().optional().describe("Of a policy or a deletion, as its own operation answers it"),
});

/** A step that is ready to run in the transaction. */
interface Prepared {
  readonly step: Step;
  readonly call: OperationCall;
  answer?: Answer | undefined;
}

/** Policy as code: many changes in one transaction, each by its own operation's rules. */
export const applyConfiguration = defineOperation({
  name: "apply_configuration",
  title: "Apply configuration",
  description:
    "Makes servers, agents, groups, policies and settings look like a configuration: creates what is missing and changes what differs, all or nothing, each by the rules of its own operation. `dryRun` shows the plan: every change with its fields, and what policies would have changed in the recorded calls. Applying it again changes nothing. Returns the changes and the keys of new agents, shown only here.",
  route: "POST /configuration",
  command: "configuration apply",
  roles: ["owner", "admin", "security", "operator"],
  effect: "write",
  secrets: ["keys"],
  action: "configuration.apply",
  input: Input,
  output: z.object({
    changes: z.array(Change),
    unchanged: z.int(),
    keys: z.record(z.string(), z.string()).optional().describe("Gateway keys of new agents by name; shown only here"),
  }),
  async needsConfirmation(input, context) {
    const { steps } = await toPlan(input, context);
    if (steps.some(({ action }) => action === "delete")) return true;
    for (const step of steps) if (await wouldCutOff(step, context)) return true;
    return false;
  },
  async prepare(input, context) {
    refuseReferences(input.configuration);
    refuseRepeats(input.configuration);
    const plan = await context.read((repositories) => toPlan(input, { ...context, repositories }));
    const prepared = await prepareSteps(plan, context);
    return {
      handle: (handleContext: HandleContext) => run({ input, plan, prepared }, handleContext),
      async complete(output) {
        const replayed = prepared.filter(({ step }) => step.kind === "policy").slice(0, REPLAYS_MAX);
        for (const one of replayed) if (one.answer !== undefined) one.answer = await one.call.complete(one.answer);
        return { ...output, changes: prepared.map(showChange) };
      },
    };
  },
  summarize: ({ changes, unchanged }) => {
    const count = (action: string): number => changes.filter((change) => change.action === action).length;
    return `${count("create")} to create, ${count("update")} to update, ${count("delete")} to delete, ${unchanged} unchanged.`;
  },
});

function toPlan(
  { configuration, prune }: { readonly configuration: Configuration; readonly prune?: boolean | undefined },
  context: Parameters<typeof planConfiguration>[2],
): Promise<Plan> {
  return planConfiguration(configuration, { isPruning: prune === true }, context);
}

async function prepareSteps({ steps }: Plan, context: PrepareContext): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  for (const [index, step] of steps.entries()) {
    refuseRole(step, context);
    context.progress(index, steps.length, "looking at what changes");
    const call = await inStep(step, () => Promise.resolve(step.operation.start(step.input)));
    await inStep(step, () => call.prepare(context));
    prepared.push({ step, call });
  }
  return prepared;
}

/** Everything in the open transaction: one fault, and nothing has happened. */
async function run(
  { input, plan, prepared }: { readonly input: Input; readonly plan: Plan; readonly prepared: readonly Prepared[] },
  context: HandleContext,
) {
  const keys: Record<string, string> = {};
  await resolveGroups(input.configuration.groups ?? [], context);
  for (const one of prepared) {
    const { step, call } = one;
    const { event, ...answer } = await inStep(step, () => call.handle(context));
    one.answer = answer;
    const { action } = step.operation;
    if (event !== undefined && action !== undefined) await context.record(action, event);
    const { key } = answer.output;
    if (typeof key === "string") keys[step.name] = key;
  }
  return {
    changes: prepared.map(showChange),
    unchanged: plan.unchanged,
    ...(Object.keys(keys).length === 0 ? {} : { keys }),
  };
}

function showChange({ step, answer }: Prepared): z.input<typeof Change> {
  const { kind, name, action, diff } = step;
  const impact = answer?.output["impact"];
  const shown = diff.map(({ field, before, after }) => ({
    field,
    ...(before === undefined ? {} : { before: escapeHidden(before) }),
    ...(after === undefined ? {} : { after: escapeHidden(after) }),
  }));
  return { kind, name, action, diff: shown, ...(impact === undefined ? {} : { impact }) };
}

function refuseRole({ operation, kind, name, action }: Step, { caller }: PrepareContext): void {
  if (operation.roles.includes(caller.role)) return;
  const message = `${kind} \`${name}\`: to ${action} it needs one of the roles ${operation.roles.join(", ")}; this caller has \`${caller.role}\``;
  throw new AppError("forbidden", message, { details: { kind, name } });
}

async function wouldCutOff({ kind, operation, input, action }: Step, context: HandleContext): Promise<boolean> {
  if (kind !== "policy" || action === "delete") return false;
  try {
    return await operation.start(input).needsConfirmation(context);
  } catch (error) {
    // It names an object of this very configuration: a rule about what does not exist yet cuts nobody off.
    if (error instanceof AppError && error.code === "not_found") return false;
    throw error;
  }
}

/** A fault says which object of the configuration it is about. */
async function inStep<T>({ kind, name }: Step, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const details = { ...error.details, kind, name };
    throw new AppError(error.code, `${kind} \`${name}\`: ${error.message}`, { details, cause: error });
  }
}
