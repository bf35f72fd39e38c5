import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { ServerOutput, showServer } from "./server-output.ts";

/** One server with its tools, agents and health. */
export const getMcpServer = defineOperation({
  name: "get_mcp_server",
  title: "Get MCP server",
  description:
    "Shows one registered server: configuration (credential as type, hint and rotation time), tools with digest, risk and review state, waiting changes field by field, agents assigned to it, skills that need it, health history and gateway URL.",
  route: "GET /servers/{id}",
  command: "servers get",
  roles: READERS,
  effect: "read",
  input: z.object({ id: RefField.describe("Server, by id or name") }),
  output: z.object({ server: ServerOutput }),
  async handle({ id }, context) {
    return { server: await showServer(await context.repositories.servers.get(id), context) };
  },
  summarize: ({ server }) =>
    `Server \`${server.name}\` (${server.id}) is ${server.status}, health ${server.health.state}: ${server.toolCount} tools, ${server.agentCount} agents.`,
});
