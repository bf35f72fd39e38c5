import { z } from "zod";
import {
  NOTIFICATION_EVENTS,
  NOTIFICATION_SECRET,
  NOTIFICATION_SECRET_CONTEXT,
  type NotificationSettings,
} from "../../domain/notifications.ts";
import type { HandleContext } from "../context.ts";

/** As update_organization takes them: as a whole, so that a stored secret never signs for a new address. */
export const NotificationsField = z
  .strictObject({
    url: z.string().min(1).max(2048).describe("Where notifications are posted; anybody who reads settings sees it"),
    secret: z
      .string()
      .min(32)
      .max(500)
      .describe("Signs each notification (HMAC-SHA-256); stored encrypted, never shown"),
    events: z.array(z.enum(NOTIFICATION_EVENTS)).min(1).optional().describe("All unless told"),
    allowPrivateNetwork: z.boolean().optional().describe("Allow loopback and private addresses"),
  })
  .nullable()
  .optional()
  .describe("Signed webhooks that tell people what needs them; `null` switches them off");

export const NotificationsOutput = z
  .object({
    url: z.string(),
    events: z.array(z.enum(NOTIFICATION_EVENTS)),
    allowPrivateNetwork: z.boolean(),
    secretHint: z.string(),
  })
  .nullable();

/** Seals the secret and gives what is kept in the settings. */
export async function storeNotifications(
  input: z.output<typeof NotificationsField>,
  current: NotificationSettings | null,
  { repositories, services }: HandleContext,
): Promise<NotificationSettings | null> {
  if (input === undefined) return current;
  if (input === null) return null;
  const { url, secret, events = NOTIFICATION_EVENTS, allowPrivateNetwork = false } = input;
  await repositories.values.set(NOTIFICATION_SECRET, services.vault.seal(secret, NOTIFICATION_SECRET_CONTEXT));
  return { url, events: [...new Set(events)], allowPrivateNetwork, secretHint: `…${secret.slice(-4)}` };
}
