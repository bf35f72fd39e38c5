import { isDeepStrictEqual } from "node:util";
import { keyStatus } from "../domain/api-key.ts";
import { NOTIFICATION_SECRET, NOTIFICATION_SECRET_CONTEXT, type NotificationEvent } from "../domain/notifications.ts";
import { toRfc3339 } from "../lib/clock.ts";
import type { Egress } from "../lib/egress/egress.ts";
import { isExpiring } from "../operations/api-keys/key-flags.ts";
import type { Core } from "./core.ts";
import { WebhookSender, type WebhookTarget } from "./webhook-sender.ts";

/** Of thousands of findings nobody reads more in a message; all are in get_scan_results. */
const FINDINGS_TOLD_MAX = 50;
const KEYS_ROUND_MS = 60 * 60_000;
const BROKEN_STATES: ReadonlySet<string> = new Set(["unreachable", "unauthorized", "not_mcp"]);

type Post = (type: NotificationEvent, id: string, data: Readonly<Record<string, unknown>>) => void;

/** Tells people by signed webhook what needs them: held calls, new findings, keys about to expire, broken servers. Gives its end. */
export function startNotifications(core: Core, egress: Egress): () => void {
  const { store, vault, liveView, clock, onProblem } = core;
  const settings = () => liveView.current.organization.settings.notifications;
  const target = async (type: string): Promise<WebhookTarget | undefined> => {
    const current = settings();
    if (current === null || !current.events.some((event) => event === type)) return undefined;
    const sealed = await store.read(({ values }) => values.find(NOTIFICATION_SECRET));
    const secret = sealed === undefined ? undefined : vault.open(sealed, NOTIFICATION_SECRET_CONTEXT);
    return typeof secret === "string" ? { ...current, secret } : undefined;
  };
  const nowSeconds = (): number => Math.floor(clock.now() / 1000);
  const sender = new WebhookSender({ egress, target, onProblem, nowSeconds });
  const post: Post = (type, id, data) => {
    if (settings() === null) return;
    sender.post({ id: `${type}:${id}`, type, time: toRfc3339(clock.now()), data });
  };
  followApprovals(core, post);
  followScans(core, post);
  const stopServers = followServers(core, post);
  const stopKeys = followKeys(core, post);
  return () => {
    stopServers();
    stopKeys();
    sender.close();
  };
}

function followApprovals({ store, onProblem }: Core, post: Post): void {
  const tell = async (id: string): Promise<void> => {
    const approval = await store.read(({ approvals }) => approvals.find(id));
    if (approval === undefined || approval.version !== 1) return;
    const { agent, member, server, target, policies, correlationId, expiresAt } = approval;
    const data = { approval: { id }, agent, member, server, target, policies, correlationId };
    post("approval.created", id, { ...data, expiresAt: toRfc3339(expiresAt) });
  };
  store.onCommitted((changes) => {
    // In the background: a held call does not wait for anybody to be told of it.
    for (const { kind, id } of changes) if (kind === "approval") tell(id).catch(onProblem);
    return Promise.resolve();
  });
}

/** One message for each scan that found something new, with the worst of it. What devices call things does not leave through it. */
function followScans({ store, clock, onProblem }: Core, post: Post): void {
  const tell = async (id: string): Promise<void> => {
    const filter = { scanId: id, change: "new", now: clock.now() } as const;
    const { scan, opened } = await store.read(async ({ scans, findings }) => ({
      scan: await scans.get(id),
      opened: await findings.list(filter, { limit: FINDINGS_TOLD_MAX }),
    }));
    if (opened.total === 0) return;
    const findings = opened.items.map((finding) => ({
      id: finding.id,
      kind: finding.kind,
      code: finding.code,
      title: finding.title,
      severity: finding.severity,
    }));
    post("finding.opened", id, { scan: { id, targets: scan.targets }, total: opened.total, findings });
  };
  store.onCommitted((changes) => {
    for (const { kind, id } of changes) if (kind === "scan") tell(id).catch(onProblem);
    return Promise.resolve();
  });
}

function followServers({ liveView }: Core, post: Post): () => void {
  return liveView.onSwap((next, previous, changes) => {
    for (const { kind, id } of changes) {
      const view = kind === "server" ? next.serverById.get(id) : undefined;
      if (view === undefined || !BROKEN_STATES.has(view.server.health.state)) continue;
      if (BROKEN_STATES.has(previous.serverById.get(id)?.server.health.state ?? "")) continue;
      const { name, health } = view.server;
      post("server.unhealthy", `${id}:${health.checkedAt ?? 0}`, { server: { id, name }, state: health.state });
    }
  });
}

function followKeys({ liveView, clock }: Core, post: Post): () => void {
  const told = new Map<string, number | null>();
  const look = (): void => {
    const now = clock.now();
    for (const key of liveView.current.keyById.values()) {
      const { id, name, kind, hint, expiresAt } = key;
      if (expiresAt === null || keyStatus(key, now) !== "active" || !isExpiring(key, now)) continue;
      if (told.get(id) === expiresAt) continue;
      told.set(id, expiresAt);
      post("key.expiring", `${id}:${expiresAt}`, { key: { id, name, kind, hint }, expiresAt: toRfc3339(expiresAt) });
    }
  };
  const stop = liveView.onSwap((next, previous, changes) => {
    const [now, before] = [next, previous].map(({ organization }) => organization.settings.notifications);
    // Who is told from now on may have heard of none; receivers drop what they have by its id.
    if (!isDeepStrictEqual(now, before)) told.clear();
    if (changes.some(({ kind }) => kind === "apiKey" || kind === "organization")) look();
  });
  look();
  const timer = setInterval(look, KEYS_ROUND_MS).unref();
  return () => {
    stop();
    clearInterval(timer);
  };
}
