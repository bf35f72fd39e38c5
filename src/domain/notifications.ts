/** What people can be told of by webhook. */
export const NOTIFICATION_EVENTS = ["approval.created", "finding.opened", "key.expiring", "server.unhealthy"] as const;
export type NotificationEvent = (typeof NOTIFICATION_EVENTS)[number];

/** Where notifications go. The secret that signs them is sealed elsewhere. */
export interface NotificationSettings {
  readonly url: string;
  readonly events: readonly NotificationEvent[];
  readonly allowPrivateNetwork: boolean;
  /** Last four characters of the secret. */
  readonly secretHint: string;
}

/** The value that holds the sealed secret, and where it belongs. */
export const NOTIFICATION_SECRET = "sealed.notification-secret";
export const NOTIFICATION_SECRET_CONTEXT = { table: "values", id: NOTIFICATION_SECRET, version: 1 } as const;
