/** What a skill says that it calls. `tools` are globs over `tool` or `server/tool`; without it all tools of `servers`. */
export interface DeclaredTools {
  readonly servers: readonly string[];
  readonly tools?: readonly string[] | undefined;
}

/** Why a call is outside of what the skill declares; undefined when it is inside. */
export function findUndeclared(declared: DeclaredTools, server: string, tool: string): string | undefined {
  if (!declared.servers.includes(server)) {
    return `the skill does not declare server \`${server}\`; add it to \`servers\` in a new version`;
  }
  const { tools } = declared;
  if (tools === undefined || tools.some((glob) => isMatch(glob, server, tool))) return undefined;
  return `the skill does not declare tool \`${server}/${tool}\`; add it to \`tools\` in a new version`;
}

function isMatch(glob: string, server: string, tool: string): boolean {
  const slash = glob.indexOf("/");
  if (slash === -1) return matchesGlob(glob, tool);
  return matchesGlob(glob.slice(0, slash), server) && matchesGlob(glob.slice(slash + 1), tool);
}

/** `*` stands for any text. Greedy with one step back, so that no pattern takes more than quadratic time. */
function matchesGlob(glob: string, text: string): boolean {
  const [head = "", ...rest] = glob.split("*");
  const tail = rest.pop();
  if (tail === undefined) return glob === text;
  if (!text.startsWith(head) || !text.endsWith(tail) || text.length < head.length + tail.length) return false;
  let at = head.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > text.length - tail.length) return false;
    at = found + part.length;
  }
  return at <= text.length - tail.length;
}
