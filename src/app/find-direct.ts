import { maskArguments } from "../operations/servers/mask-argument.ts";
import type { ConnectServer } from "../surfaces/cli/connect-client.ts";
import { identify } from "../sweep/identity.ts";
import { createMatcher, EMPTY_REGISTRY } from "../sweep/match.ts";
import { serverEntriesOf } from "../sweep/server-entries.ts";

/** Identities are compared here and leave nothing behind: any key does. */
const HASH_KEY = "connect";

/** Tells which of these servers an entry of a client goes straight to, by name: what a scan calls `BYPASS`. */
export function findDirect(servers: readonly ConnectServer[]): (entry: unknown) => string | undefined {
  const { standingOf } = createMatcher({ ...EMPTY_REGISTRY, servers }, HASH_KEY);
  return (entry) => {
    // The registry shows arguments with their secrets masked: equal ones are equal in that form. The address of a bridge is read as it is.
    const forms = serverEntriesOf({ servers: { entry } }, ["servers"]).flatMap((source) => [
      source,
      { ...source, args: maskArguments(source.args) },
    ]);
    const standings = forms.map((source) => standingOf(identify(source, HASH_KEY)));
    return standings.flatMap((standing) => (standing.status === "registered_direct" ? standing.server.name : []))[0];
  };
}
