/** The line of `"name":`, `name:`, `[mcp_servers.name]` or `name = "name"`. */
export function lineOfName(text: string, name: string): number | undefined {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const after = text.slice(at + name.length, at + name.length + 4);
    if (/^["']?\s*[:\]=]/.test(after) || /name["']?\s?[:=]\s?["']?$/.test(text.slice(Math.max(0, at - 12), at))) {
      return text.slice(0, at).split("\n").length;
    }
  }
  return undefined;
}
