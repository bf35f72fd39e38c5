import { z } from "zod";

const dryRun = z.boolean().optional().describe("Validate and compute the impact, change nothing");
const confirm = z
  .boolean()
  .optional()
  .describe("Set true to carry out a destructive change; leave out to see its impact");
const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\x21-\x7e]+$/, "must be visible ASCII characters without spaces")
  .optional()
  .describe("Your own key for this creation: a repeat with the same input within 24 h gives the first answer again");

/** The fields that the registry understands itself, so that no handler has to. */
export const CommonInputSchema = z.object({ dryRun, confirm, idempotencyKey });

export type CommonInput = z.output<typeof CommonInputSchema>;

/** The common fields of an operation by what it does. An operation with its own wording for one declares it itself. */
export function commonFields({ effect, isCreation }: { effect: "read" | "write" | "destroy"; isCreation: boolean }) {
  return {
    ...(effect === "read" ? {} : { dryRun }),
    ...(effect === "destroy" ? { confirm } : {}),
    ...(isCreation ? { idempotencyKey } : {}),
  };
}
