import type { Server } from "../../domain/server.ts";

/** What a child or a stream of a server is started with, to compare it by: health, descriptions and rights are none of it. */
export function configurationOf(server: Server): string {
  const { transport, command, cwd, url, allowPrivateNetwork, shareable, secretsVersion } = server;
  return JSON.stringify([transport, command, cwd, url, allowPrivateNetwork, shareable, secretsVersion]);
}

/** Whether what was started with this configuration may not go on: its server is gone, not active, or configured otherwise. */
export function isOutdated(configuration: string, server: Server | undefined): boolean {
  return server?.status !== "active" || configurationOf(server) !== configuration;
}
