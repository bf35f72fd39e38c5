import { distance } from "fastest-levenshtein";

/** Packages that many people run; a name one or two letters away from one of them was chosen to be mistaken for it. */
const KNOWN_PACKAGES: readonly string[] = [
  "@modelcontextprotocol/server-everything",
  "@modelcontextprotocol/server-filesystem",
  "@modelcontextprotocol/server-github",
  "@modelcontextprotocol/server-memory",
  "@modelcontextprotocol/server-postgres",
  "@modelcontextprotocol/server-puppeteer",
  "@modelcontextprotocol/server-sequential-thinking",
  "@modelcontextprotocol/server-slack",
  "@modelcontextprotocol/server-gdrive",
  "@modelcontextprotocol/inspector",
  "@playwright/mcp",
  "@upstash/context7-mcp",
  "@notionhq/notion-mcp-server",
  "@supabase/mcp-server-supabase",
  "@stripe/mcp",
  "@sentry/mcp-server",
  "@browsermcp/mcp",
  "@azure/mcp",
  "chrome-devtools-mcp",
  "firecrawl-mcp",
  "figma-developer-mcp",
  "mcp-remote",
  "mcp-proxy",
  "supergateway",
  "mcp-server-git",
  "mcp-server-fetch",
  "mcp-server-time",
  "mcp-server-sqlite",
  "mcp-server-kubernetes",
  "tavily-mcp",
  "exa-mcp-server",
  "awslabs.core-mcp-server",
];
const KNOWN = new Set(KNOWN_PACKAGES);

/** The known package that this name imitates, if any. Same name in another scope's clothes (`modelcontextprotocol-server-x`) counts too. */
export function imitatedPackage(name: string): string | undefined {
  if (KNOWN.has(name)) return undefined;
  return KNOWN_PACKAGES.find((known) => isNear(name, known));
}

function isNear(name: string, known: string): boolean {
  if (Math.abs(name.length - known.length) > 2) return false;
  if (known.startsWith("@") && name === known.slice(1).replace("/", "-")) return true;
  // Short names are near to many honest ones: `mcp-remote` and `mcp-remove` may both be meant.
  const allowed = known.length >= 16 ? 2 : known.length >= 9 ? 1 : 0;
  const [scope = "", base = ""] = known.split("/");
  const isOtherPartOfScope = known.startsWith("@") && name.startsWith(`${scope}/`);
  // The owner of a scope names packages as they like; whoever registers a near name has another scope.
  return allowed > 0 && !isOtherPartOfScope && base !== name && distance(name, known) <= allowed;
}
