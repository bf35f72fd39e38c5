/*
 * A place is what a scan reads as a whole: it stands with each instance of a finding, and a finding ends only when a later scan has
 * read all its places and did not see it there.
 */

export function homePlace(device: string, home: string): string {
  return `home|${device}|${home}`;
}

export function processesPlace(device: string): string {
  return `processes|${device}`;
}

export function networkPlace(host: string, port: number): string {
  return `network|${host}|${port}`;
}

export function serverPlace(serverId: string): string {
  return `server|${serverId}`;
}

/** Who answers at the address of a server: only a connection tells. */
export function peerPlace(serverId: string): string {
  return `${serverPlace(serverId)}|peer`;
}

/** The tools of all registered servers, as they are known. */
export const TOOLS_PLACE = "registry|tools";

/** Everything of the registry but what only contact with a server can tell. */
export const REGISTRY_PLACE = "registry";

/** The device that a place is on; undefined for networks and the registry. */
export function deviceOfPlace(place: string): string | undefined {
  const [kind = "", device] = place.split("|", 2);
  return kind === "home" || kind === "processes" ? device : undefined;
}
