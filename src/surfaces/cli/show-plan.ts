import { z } from "zod";
import { escapeHiddenText } from "../../lib/escape-hidden.ts";
import { indent, show, showMember } from "./show.ts";
import type { Row } from "./show-cell.ts";

const Plan = z.looseObject({
  changes: z.array(
    z.object({
      kind: z.string(),
      name: z.string(),
      action: z.string(),
      diff: z.array(z.object({ field: z.string(), before: z.unknown().optional(), after: z.unknown().optional() })),
      impact: z.unknown().optional(),
    }),
  ),
});

type Change = z.output<typeof Plan>["changes"][number];

/** What applying files changes, or would change: each object with its fields, before and after. */
export function showPlan(output: Row, isDryRun: boolean): string {
  const { changes, ...rest } = Plan.parse(output);
  const shown = changes.map((change) => showChange(change, isDryRun));
  return [...shown, show(rest)].join("\n");
}

function showChange({ kind, name, action, diff, impact }: Change, isDryRun: boolean): string {
  // There is one organization, and its settings have no name of their own.
  const what = kind === "settings" ? kind : `${kind} ${escapeHiddenText(name)}`;
  const head = `${isDryRun ? `would ${action}` : `${action}d`} ${what}`;
  const fields = diff.map((field) => showField(field, action === "create"));
  const lines = [...fields, ...(impact === undefined ? [] : [showMember("impact", impact)])];
  return lines.length === 0 ? head : `${head}\n${indent(lines.join("\n"))}`;
}

function showField({ field, before, after }: Change["diff"][number], isNew: boolean): string {
  // The server says of secrets only that they differ.
  if (before === undefined && after === undefined) return `${escapeHiddenText(field)}: (a secret, not shown)`;
  return isNew ? showMember(field, after) : showMember(field, { before, after });
}
