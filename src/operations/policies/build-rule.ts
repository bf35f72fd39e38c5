import type { Policy, StructuredRule } from "../../domain/policy.ts";
import { AppError } from "../../lib/errors.ts";
import { mentionsOf } from "../../policy/mentions.ts";
import { type ParsedPolicy, parsePolicy, parseRule, requireCedarSize } from "../../policy/parse-policy.ts";
import type { HandleContext } from "../context.ts";
import { requireNewName, resolveGroups } from "../groups.ts";
import type { RuleInput } from "./policy-fields.ts";
import { resolveCedarNames } from "./resolve-cedar.ts";
import { type Resolver, resolvePrincipals, resolveResources } from "./resolve-scope.ts";

/** What of a policy decides, ready to be stored. */
export interface BuiltRule extends Pick<Policy, "effect" | "rule" | "cedar" | "ast" | "mentions"> {
  /** What Cedar's validator finds odd. */
  readonly warnings: readonly string[];
}

/** Names become ids; a new group name makes a group. */
export function writingResolver(context: HandleContext): Resolver {
  return { repositories: context.repositories, groups: (refs) => resolveGroups(refs, context) };
}

/** The same where nothing may be written: a new group keeps its name, which is nobody's id. */
export function readingResolver({ repositories }: Pick<HandleContext, "repositories">): Resolver {
  return {
    repositories,
    groups: (refs) =>
      Promise.all(
        refs.map(async (ref) => {
          const found = await repositories.groups.find(ref);
          if (found === undefined) requireNewName(ref);
          return found?.id ?? ref;
        }),
      ),
  };
}

/**
 * Reads a structured rule or a Cedar text. Throws `invalid_input` for what is not one of the two, or not whole. What a text
 * replaces may name things that are gone, and so may the text.
 */
export async function buildRule(
  input: RuleInput,
  resolver: Resolver,
  former?: Pick<Policy, "cedar">,
): Promise<BuiltRule> {
  const { cedar } = input;
  if (cedar === undefined) return buildStructured(input, resolver);
  refuseFields(input);
  requireCedarSize(cedar);
  return buildCedar(input, await resolveCedarNames(cedar, resolver, former?.cedar));
}

function refuseFields({ principals, resources, actions, conditions }: RuleInput): void {
  // Empty ones are how a policy in Cedar text is shown.
  const field = Object.entries({ principals, resources, actions, conditions }).find(
    ([, value]) => value !== undefined && Object.keys(value).length > 0,
  );
  if (field !== undefined) {
    throw invalid(`\`${field[0]}\` cannot stand beside \`cedar\`; say it in the text or leave the text out`, field[0]);
  }
}

function buildCedar({ effect }: RuleInput, text: string): BuiltRule {
  const parsed = parsePolicy(text);
  if (effect !== undefined && effect !== parsed.effect) {
    throw invalid(`\`effect\` is \`${effect}\`, but the text says \`${parsed.effect}\`; leave it out`, "effect");
  }
  return toBuilt(parsed, null);
}

async function buildStructured(input: RuleInput, resolver: Resolver): Promise<BuiltRule> {
  const { effect, principals, resources, actions, conditions } = input;
  if (effect === undefined) throw missing("effect");
  if (principals === undefined) throw missing("principals");
  if (resources === undefined) throw missing("resources");
  const rule: StructuredRule = {
    principals: await resolvePrincipals(principals, resolver),
    resources: await resolveResources(resources, resolver),
    ...(actions === undefined ? {} : { actions }),
    ...(conditions === undefined ? {} : { conditions }),
  };
  return rebuildRule(effect, rule);
}

/** A rule whose names are ids already. */
export function rebuildRule(effect: Policy["effect"], rule: StructuredRule): BuiltRule {
  return toBuilt(parseRule({ effect, ...rule }), rule);
}

function toBuilt({ effect, cedar, ast, warnings }: ParsedPolicy, rule: StructuredRule | null): BuiltRule {
  return { effect, rule, cedar, ast, mentions: mentionsOf(ast), warnings };
}

function missing(field: string): AppError {
  return invalid(`\`${field}\` is missing; give it, or write the policy as \`cedar\``, field);
}

function invalid(message: string, field: string): AppError {
  return new AppError("invalid_input", message, { details: { field } });
}
