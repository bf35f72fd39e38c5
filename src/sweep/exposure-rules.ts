import { parseLaunch } from "./parse-launch.ts";
import { type Sighting, visible, type Weakness } from "./server-rules.ts";

/** What lets others reach a server, or change what it runs. */
export function exposuresOf({ server }: Sighting): Weakness[] {
  const found: Weakness[] = [];
  const name = visible(server.name);
  const isBoundToAll = server.probe?.isBoundToAll === true || bindsEverywhere(server);
  if (isBoundToAll) {
    found.push({
      code: "BIND-ALL",
      title: "server that listens on every network",
      severity: "medium",
      confidence: server.probe?.isBoundToAll === true ? 1 : 0.9,
      evidence: `server \`${name}\` listens on all addresses of its machine, not on loopback alone`,
      remediation: "bind it to 127.0.0.1 (for a container: publish 127.0.0.1:port), or put it behind the gateway",
    });
  }
  if (server.target?.isWritableByOthers === true) {
    found.push({
      code: "PERM",
      title: "program that others can change",
      severity: "high",
      confidence: 1,
      evidence: `the file that server \`${name}\` runs is writable by its group or by everyone`,
      remediation: "take write access away from others (chmod go-w)",
    });
  }
  return found;
}

const ANY_ADDRESS = /^(?:tcp:\/\/|https?:\/\/)?(?:0\.0\.0\.0|\[::\]|::)(?::\d{1,5})?\/?$/;
const ADDRESS_NAME = /(?:^|[_-])(?:host|bind|listen|addr|address|interface)$/i;

function bindsEverywhere({ command, args, env }: Sighting["server"]): boolean {
  if (command === undefined) return false;
  if (parseLaunch(command, args).kind === "oci" && args.some(publishesEverywhere)) return true;
  const values = args.flatMap((arg) => [arg, arg.slice(arg.indexOf("=") + 1)]);
  const named = Object.entries(env).filter(([variable]) => ADDRESS_NAME.test(variable));
  return values.some((value) => ANY_ADDRESS.test(value)) || named.some(([, value]) => ANY_ADDRESS.test(value));
}

/** `-p 8080:80` publishes on all addresses; `-p 127.0.0.1:8080:80` does not. */
function publishesEverywhere(arg: string, index: number, args: readonly string[]): boolean {
  const isPublishing = /^(?:-p|--publish)$/.test(arg);
  const mapping = isPublishing ? args[index + 1] : /^--publish=(.+)$/.exec(arg)?.[1];
  return mapping !== undefined && /^(?:0\.0\.0\.0:)?[\d-]+(?::[\d-]+)?(?:\/\w+)?$/.test(mapping);
}
