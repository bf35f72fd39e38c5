import { createHash } from "node:crypto";
import type { ServerView } from "../../snapshot/snapshot.ts";

/** What a child or a stream of a server is started with, to compare it by: health, descriptions and rights are none of it. */
export interface Configuration {
  readonly endpoint: string;
  /** Of arguments, environment and headers, which may hold secrets. */
  readonly digest: string;
  readonly secretsVersion: number;
}

export function configurationOf(view: ServerView): Configuration {
  return { endpoint: endpointOf(view), digest: digestOf(view), secretsVersion: view.server.secretsVersion };
}

/** Whether what was started with this configuration may not go on: its server is gone, not active, or started or reached otherwise. */
export function isOutdated(configuration: Configuration, view: ServerView | undefined): boolean {
  if (view?.server.status !== "active" || endpointOf(view) !== configuration.endpoint) return true;
  return hasOldCredential(configuration, view) && digestOf(view) !== configuration.digest;
}

/** Whether the server's secrets are others now. */
export function hasOldCredential({ secretsVersion }: Configuration, view: ServerView | undefined): boolean {
  return view !== undefined && view.server.secretsVersion !== secretsVersion;
}

function endpointOf({ server }: ServerView): string {
  const { transport, command, cwd, url, allowPrivateNetwork, shareable } = server;
  return JSON.stringify([transport, command, cwd, url, allowPrivateNetwork, shareable]);
}

function digestOf(view: ServerView): string {
  const { args, env, headers } = view.secrets();
  return createHash("sha256")
    .update(JSON.stringify([args, env, headers]))
    .digest("hex");
}
