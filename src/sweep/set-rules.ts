import { createHash } from "node:crypto";
import { toLatinSkeleton } from "../guard/hidden-unicode.ts";
import type { Observation } from "./finding.ts";
import { type Sighting, visible } from "./server-rules.ts";

/** Two servers of one client under one name: the model cannot tell which one it calls. */
export function collisionsOf(sightings: readonly Sighting[]): Observation[] {
  return byClient(sightings).flatMap(([client, group]) => {
    const names = Map.groupBy(group, ({ server }) => skeletonOf(server.name));
    return [...names.values()].flatMap((same): Observation[] => {
      const families = new Set(same.map(({ identity }) => identity.family));
      const [first] = same;
      if (families.size < 2 || first === undefined) return [];
      return [
        {
          code: "SHADOW-TOOL",
          kind: "security_risk",
          title: "different servers under one name",
          severity: "medium",
          confidence: 0.7,
          identity: `collision:${client}:${setOf(families)}`,
          evidence: `${String(families.size)} different servers are called \`${visible(first.server.name)}\``,
          remediation: "give each server its own name; remove the one that nobody knows",
          fix: { kind: "review" },
          instance: { client, path: first.server.path, line: first.server.line },
        },
      ];
    });
  });
}

/** One text for a set of families, however many and long they are. */
function setOf(families: ReadonlySet<string>): string {
  const text = [...families].toSorted((left, right) => (left < right ? -1 : 1)).join("|");
  return text.length <= 1000 ? text : createHash("sha256").update(text).digest("hex");
}

/** Equal for names that a person takes for one: case, separators and look-alike letters do not count. */
function skeletonOf(name: string): string {
  return toLatinSkeleton(name.normalize("NFKC").toLowerCase()).replaceAll(/[-_\s]/g, "");
}

/** What a server can do, as far as its package or address tells. */
const CAPABILITIES: readonly { readonly label: "untrusted" | "private" | "egress"; readonly pattern: RegExp }[] = [
  {
    label: "untrusted",
    pattern:
      /fetch|browser|playwright|puppeteer|firecrawl|search|tavily|\bexa\b|web|rss|scrap|github|gitlab|slack|gmail|email|discord/i,
  },
  {
    label: "private",
    pattern:
      /filesystem|postgres|mysql|sqlite|mongo|redis|gdrive|drive|notion|gmail|email|outlook|confluence|jira|kubernetes|aws|azure|vault|1password|snowflake|bigquery/i,
  },
  {
    label: "egress",
    pattern:
      /slack|discord|telegram|gmail|email|smtp|twilio|fetch|http|webhook|github|gitlab|playwright|puppeteer|browser/i,
  },
];

/** One agent that reads what strangers write, reads what is private, and can send: together they leak, each alone does not. */
export function toxicFlowsOf(sightings: readonly Sighting[]): Observation[] {
  return byClient(sightings).flatMap(([client, group]): Observation[] => {
    const active = group.filter(({ server }) => server.isEnabled);
    const holders = CAPABILITIES.map(({ pattern }) =>
      active.filter(({ identity }) => pattern.test(nameOnly(identity.label))),
    );
    const involved = new Set(holders.flat().map(({ identity }) => identity.family));
    if (holders.some((list) => list.length === 0) || involved.size < 2) return [];
    const names = holders.map(([first]) => `\`${visible(first?.server.name ?? "")}\``);
    const [first] = active;
    return [
      {
        code: "TOXIC-FLOW",
        kind: "security_risk",
        title: "servers that together can leak private content",
        severity: "medium",
        confidence: 0.5,
        identity: `flow:${client}`,
        evidence: `one client has ${names[0] ?? ""} (reads what strangers write), ${names[1] ?? ""} (reads private content) and ${names[2] ?? ""} (sends out)`,
        remediation: "split them over two agents, or require approval for what sends out",
        fix: { kind: "review" },
        instance: { client, path: first?.server.path },
      },
    ];
  });
}

function byClient(sightings: readonly Sighting[]): [string, Sighting[]][] {
  const configured = sightings.filter(({ server }) => server.client !== undefined);
  return [...Map.groupBy(configured, ({ server }) => server.client ?? "")];
}

/** The scheme of an address is no capability. */
function nameOnly(label: string): string {
  return label.replace(/^\w+:\/\//, "");
}
