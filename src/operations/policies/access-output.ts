import { z } from "zod";
import type { AccessAnswer } from "./access-check.ts";

const Named = z.object({ id: z.string(), name: z.string() });

/** What may be done with a tool, and which rule says so. */
export const accessFields = {
  access: z
    .enum(["allowed", "denied", "approval", "conditional"])
    .describe("For a call without arguments now; `conditional`: other arguments or another time could pass"),
  reason: z
    .enum([
      "policy",
      "default",
      "evaluation_error",
      "assignment",
      "not_assigned",
      "agent_suspended",
      "server_unavailable",
    ])
    .describe("`policy`: a rule decided; `assignment`: no rule speaks and assignment grants access"),
  policies: z.array(Named).describe("The deciding policies"),
};

export function showAccess({ access, reason, policies }: AccessAnswer) {
  return { access, reason, policies: policies.map(({ id, name }) => ({ id, name })) };
}
