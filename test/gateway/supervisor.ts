import { createStdioSupervisor, type StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import type { StdioPlace } from "../fixtures/mcp/stdio-place.ts";

/** A real supervisor of children that end within a second; what they print is not looked at. */
export function superviseIn({ user }: StdioPlace): StdioSupervisor {
  return createStdioSupervisor({
    user,
    hiddenPaths: [],
    maskText: (text) => text,
    log: () => undefined,
    ladder: { stdinCloseMs: 300, sigtermMs: 300 },
  });
}
