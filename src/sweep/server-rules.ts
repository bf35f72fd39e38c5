import ipaddr from "ipaddr.js";
import { findSecretSpans, isPlaceholder, toSecretHint } from "../guard/find-secrets.ts";
import { analyzeText } from "../guard/analyze-text.ts";
import { isOwnBridge } from "./bridges.ts";
import type { DiscoveredServer } from "./facts.ts";
import type { Observation } from "./finding.ts";
import type { Identity } from "./identity.ts";
import { secretsIn, secretTypeOf } from "./inline-secrets.ts";
import { imitatedPackage } from "./known-packages.ts";

export type Weakness = Pick<Observation, "code" | "title" | "severity" | "confidence" | "evidence" | "remediation"> & {
  readonly kind?: Observation["kind"];
};

export interface Sighting {
  readonly server: DiscoveredServer;
  readonly identity: Identity;
}

/** What is unsafe about one server entry, whether or not it is registered. Evidence is masked. */
export function weaknessesOf(sighting: Sighting, hashKey: string): Weakness[] {
  return [
    ...secretsOf(sighting, hashKey),
    ...supplyChain(sighting),
    ...addresses(sighting),
    ...commands(sighting),
    ...settings(sighting),
    ...hiddenTexts(sighting),
  ];
}

function secretsOf({ server }: Sighting, hashKey: string): Weakness[] {
  const named = [...Object.entries(server.env), ...Object.entries(server.headers)].flatMap(([name, value]) => {
    const type = secretTypeOf(name, value);
    return type === undefined ? [] : [{ place: `\`${name}\``, hint: toSecretHint(type, value, hashKey) }];
  });
  const inArgs = secretsIn(server.args.join("\n")).map(({ type, secret }) => ({
    place: "an argument",
    hint: toSecretHint(type, secret, hashKey),
  }));
  const inline = [...named, ...inArgs].map(({ place, hint }): Weakness => ({
    code: "SECRET-INLINE",
    title: "secret in plain text in a configuration",
    severity: "high",
    confidence: 0.9,
    evidence: `${place} of server \`${visible(server.name)}\` holds a ${hint.type} of ${String(hint.length)} characters (hash ${hint.keyedHash})`,
    remediation:
      "revoke the secret, store the new one as the server's credential in runlayer, and route the client through the gateway",
  }));
  const tokens = secretsIn(server.url ?? "");
  if (tokens.length === 0) return inline;
  return [
    ...inline,
    {
      code: "TOKEN-IN-URL",
      title: "secret in an address",
      severity: "high",
      confidence: 0.9,
      evidence: `the address of server \`${visible(server.name)}\` holds a ${tokens[0]?.type ?? "secret"}; addresses end up in logs`,
      remediation: "revoke the secret and send its successor in a header, kept as the server's credential in runlayer",
    },
  ];
}

function supplyChain({ server, identity }: Sighting): Weakness[] {
  const { launch } = identity;
  // Runlayer's own bridge is written down without a version, so that it keeps pace with the gateway.
  if (launch === undefined || !/^(?:pkg|oci)$/.test(launch.kind) || isOwnBridge(launch)) return [];
  const found: Weakness[] = [];
  if (launch.pin === "latest" || launch.pin === "range" || launch.pin === "source") {
    found.push({
      code: "UNPINNED",
      title: launch.pin === "source" ? "code straight from a repository or address" : "package without a fixed version",
      severity: launch.pin === "source" ? "high" : launch.pin === "latest" ? "medium" : "low",
      confidence: 1,
      evidence: `server \`${visible(server.name)}\` runs \`${identity.label}\`, which may be other code tomorrow`,
      remediation: "name an exact version (for an image, a digest) that was reviewed",
    });
  }
  const imitated = launch.kind === "pkg" ? imitatedPackage(launch.name.replace(/^(?:npm|pypi)\//, "")) : undefined;
  if (imitated === undefined) return found;
  return [
    ...found,
    {
      code: "TYPOSQUAT",
      title: "package name that imitates a known one",
      severity: "critical",
      confidence: 0.8,
      evidence: `\`${identity.label}\` looks like \`${imitated}\` and is not it`,
      remediation: `remove it, check the machine, and use \`${imitated}\` if that was meant`,
    },
  ];
}

function addresses({ server }: Sighting): Weakness[] {
  const url = server.url !== undefined && URL.canParse(server.url) ? new URL(server.url) : undefined;
  const found: Weakness[] = [];
  if (url !== undefined && (url.protocol === "http:" || url.protocol === "ws:") && !isLoopback(url.hostname)) {
    found.push({
      code: "PLAINTEXT-HTTP",
      title: "unencrypted connection",
      severity: "medium",
      confidence: 1,
      evidence: `server \`${visible(server.name)}\` is reached at ${url.hostname.slice(0, 253)} without TLS`,
      remediation: "use https; anyone on the way can read and change calls",
    });
  }
  if (server.probe?.isOpen === true) {
    found.push({
      code: "NOAUTH-EXPOSED",
      title: "server that answers anyone",
      severity: url !== undefined && isLoopback(url.hostname) ? "low" : "high",
      confidence: 1,
      evidence: `it listed ${String(server.probe.toolNames.length)} tools without credentials`,
      remediation: "require authentication, bind it to loopback, or put it behind the gateway",
    });
  }
  return found;
}

const RISKY: readonly {
  readonly pattern: RegExp;
  readonly what: string;
  readonly severity: "high" | "medium";
  readonly code: string;
}[] = [
  {
    pattern:
      /\b(?:curl|wget|iwr|invoke-webrequest)\b[^|\n]{0,300}\|\s{0,3}(?:sudo )?(?:\w{0,5}sh|python3?|node|iex)\b/i,
    what: "runs what it downloads",
    severity: "high",
    code: "REMOTE-CODE",
  },
  { pattern: /(?:^|\s)--privileged\b/, what: "starts a privileged container", severity: "high", code: "CMD-RISK" },
  { pattern: /docker\.sock\b/, what: "hands the container engine to a container", severity: "high", code: "CMD-RISK" },
  {
    pattern: /(?:-v|--volume|source=|src=)[\s=]?\/(?::|,|\s|$)/,
    what: "mounts the whole disk into a container",
    severity: "high",
    code: "CMD-RISK",
  },
  {
    pattern: /--(?:network|net|pid|ipc)[= ]host\b|--cap-add[= ](?:SYS_ADMIN|ALL)\b/i,
    what: "gives a container the host's own rights",
    severity: "medium",
    code: "CMD-RISK",
  },
  { pattern: /(?:^|\s|\/)sudo\s/, what: "runs with administrator rights", severity: "high", code: "CMD-RISK" },
  {
    pattern: /(?:^|[\s/])(?:ba|z|da)?sh\s{1,3}-\w{0,3}c\b|\b(?:powershell|pwsh)\b[^\n]{0,60}-(?:enc|command|c)\b/i,
    what: "runs a shell line",
    severity: "medium",
    code: "CMD-RISK",
  },
  {
    pattern: /(?:^|\s)(?:\/tmp|\/var\/tmp|\/dev\/shm|%temp%)[/\\]/i,
    what: "runs from a folder that anyone may write to",
    severity: "high",
    code: "CMD-RISK",
  },
  {
    pattern: /\/dev\/tcp\/|\bnc(?:at)?\s[^\n]{0,40}-e\b/,
    what: "opens a remote shell",
    severity: "high",
    code: "CMD-RISK",
  },
];

function commands({ server }: Sighting): Weakness[] {
  if (server.command === undefined) return [];
  const line = [server.command, ...server.args].join(" ").slice(0, 20_000);
  return RISKY.filter(({ pattern }) => pattern.test(line)).map(({ code, what, severity }) => ({
    code,
    title: code === "REMOTE-CODE" ? "command that runs downloaded code" : "dangerous command",
    severity,
    confidence: 0.9,
    // The command itself is not quoted: it may hold secrets, and it is data from a stranger.
    evidence: `server \`${visible(server.name)}\` ${what}`,
    remediation: "run the server with the rights it needs and no more; prefer a pinned package or image",
  }));
}

function settings({ server }: Sighting): Weakness[] {
  const found: Weakness[] = [];
  if (server.hasUnsafePermissions === true) {
    found.push({
      code: "PERM",
      title: "configuration that others can change",
      severity: "high",
      confidence: 1,
      evidence: "the file that starts this server is writable by its group or by everyone",
      remediation: "take write access away from others (chmod go-w)",
    });
  }
  if (server.autoApproved.length > 0) {
    const isAll = server.autoApproved.includes("*");
    found.push({
      code: "AUTO-APPROVE",
      title: "tools that run without a question",
      severity: isAll ? "medium" : "low",
      confidence: 1,
      evidence: `server \`${visible(server.name)}\`: ${isAll ? "all tools" : `${String(server.autoApproved.length)} tools`} run without asking the user`,
      remediation: "take the tools that write or send out of the list, and decide by policy at the gateway",
    });
  }
  return found;
}

function hiddenTexts({ server }: Sighting): Weakness[] {
  const text = [server.name, ...server.args, ...Object.values(server.env), ...(server.probe?.toolNames ?? [])].join(
    "\n",
  );
  const hidden = analyzeText(text, "output").matches.filter((match) => match.ruleId.startsWith("unicode."));
  return hidden.slice(0, 1).map(() => ({
    code: "POISON-UNICODE",
    title: "hidden characters in a configuration",
    severity: "high",
    confidence: 0.9,
    evidence: `the entry of server \`${visible(server.name)}\` holds characters that a person does not see`,
    remediation: "remove the entry and look where it came from",
  }));
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || rangeOf(host) === "loopback";
}

/** Whether an address is one that only this network reaches; names are taken as public but for local suffixes. */
export function isPrivateHost(host: string): boolean {
  if (isLoopback(host) || /\.(?:local|internal|lan|home|corp|intranet)$|^[^.:[\]]+$/.test(host)) return true;
  const range = rangeOf(host);
  return range !== undefined && range !== "unicast";
}

function rangeOf(host: string): string | undefined {
  const bare = host.replace(/^\[|\]$/g, "");
  return ipaddr.isValid(bare) ? ipaddr.process(bare).range() : undefined;
}

/** A name from outside as it may be shown: bounded, printable, without a secret. */
export function visible(name: string): string {
  const clean = name.replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, "?").slice(0, 80);
  const holdsSecret = findSecretSpans(clean).some(({ start, end }) => !isPlaceholder(clean.slice(start, end)));
  return holdsSecret ? "(a secret)" : clean;
}
