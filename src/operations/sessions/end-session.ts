import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { SessionOutput, showSession } from "./session-output.ts";

/** Cuts one connection; the agent keeps its rights and may begin anew. */
export const endSession = defineOperation({
  name: "end_session",
  title: "End session",
  description:
    "Ends one open session of an agent at once: calls in flight fail, streams close, its server is told. The agent keeps its rights and may open a new one; to keep it out, suspend it with update_agent. Returns the session.",
  route: "POST /sessions/{id}/end",
  command: "sessions end",
  roles: ["owner", "admin", "security", "operator"],
  effect: "write",
  action: "session.end",
  input: z.object({ id: RefField.describe("Session, by its id, as list_sessions shows it") }),
  output: z.object({ session: SessionOutput }),
  prepare({ id }, { isDryRun, services }) {
    return Promise.resolve({
      handle() {
        const session = services.sessions.list().find((one) => one.id === id);
        if (session === undefined) throw noSession(id);
        return Promise.resolve({ session: showSession(session, services.snapshot()) });
      },
      // Once it is on record who ended it. One that is gone by now has ended all the same.
      complete(output) {
        if (!isDryRun) services.sessions.end(id);
        return Promise.resolve(output);
      },
    });
  },
  event: ({ session: { id, agent, server } }) => ({
    resource: { type: "session", id, name: id },
    details: { agent, ...(server === undefined ? {} : { server }) },
  }),
  summarize: ({ session }) => `Session ${session.id} of agent \`${session.agent.name}\` is ended.`,
});

function noSession(id: string): AppError {
  return new AppError("not_found", `session \`${id}\` is not open; list_sessions shows those that are`);
}
