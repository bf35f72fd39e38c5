import { couldAllowMessage, type Message } from "./decide-message.ts";
import type { ReplayRules } from "./replay.ts";

/**
 * Whether a change of rules leaves no agent anything of what it has now. `messages` are calls that agents are assigned; it stops
 * at the first one that could still pass.
 */
export function cutsOffEveryAgent(
  messages: Iterable<Message>,
  { before, after }: { readonly before: ReplayRules; readonly after: ReplayRules },
): boolean {
  let isAnythingLost = false;
  for (const message of messages) {
    if (couldAllowMessage(after.index, message, after.settings)) return false;
    isAnythingLost ||= couldAllowMessage(before.index, message, before.settings);
  }
  return isAnythingLost;
}
