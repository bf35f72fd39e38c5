import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Core } from "./core.ts";
import { isOnLoopbackOnly } from "./config.ts";
import { AppError, toAppError } from "../lib/errors.ts";
import { READERS } from "../domain/role.ts";
import type { Authenticate } from "../surfaces/authentication.ts";
import type { Handler } from "../surfaces/http-server.ts";
import type { Store } from "../store/ports.ts";

const PING_MS_MAX = 4_000;

/** What load balancers and metrics collectors ask: alive, able to serve, figures. */
export function createStatusHandlers(core: Core, authenticate: Authenticate): Readonly<Record<string, Handler>> {
  return {
    "/healthz": (_request, response) => respond(response, 200, { status: "ok" }),
    "/readyz": (_request, response) => void answerReadiness(core, response),
    "/metrics": (request, response, { ip }) => {
      // The figures name servers: whoever is not on this machine needs a key that reads.
      if (!isOnLoopbackOnly(core.config)) {
        const outcome = authenticate({ authorization: request.headers.authorization, ip, kind: "organization" });
        if (!outcome.ok && outcome.reason === "unavailable") return respond(response, 503, { code: "unavailable" });
        if (!outcome.ok) return respond(response, 401, { code: "unauthenticated" });
        if (!READERS.includes(outcome.identity.caller.role)) return respond(response, 403, { code: "forbidden" });
      }
      void answerMetrics(core, response);
    },
  };
}

async function answerReadiness({ store, audit, liveView }: Core, response: ServerResponse): Promise<void> {
  try {
    await pingInTime(store);
  } catch (error) {
    return respond(response, 503, { status: "unavailable", problem: toAppError(error).message });
  }
  if (liveView.current.isBehind) {
    const problem = "the latest changes could not be read from the database; nothing is served until they are";
    return respond(response, 503, { status: "unavailable", problem });
  }
  if (audit.log.isHealthy) return respond(response, 200, { status: "ok" });
  respond(response, 503, {
    status: "unavailable",
    problem: "the audit log cannot be written; nothing is served unrecorded",
  });
}

/** Whoever asks has a limit of its own, and should learn the reason before that. */
async function pingInTime(store: Store): Promise<void> {
  const waiting = new AbortController();
  const late = sleep(PING_MS_MAX, undefined, { signal: waiting.signal }).then(() => {
    throw new AppError("unavailable", `the database has not answered for ${PING_MS_MAX / 1_000} s`);
  });
  try {
    await Promise.race([store.ping(), late]);
  } finally {
    waiting.abort();
  }
}

async function answerMetrics({ registry, onProblem }: Core, response: ServerResponse): Promise<void> {
  try {
    const text = await registry.metrics();
    response.writeHead(200, { "content-type": registry.contentType }).end(text);
  } catch (error) {
    onProblem(error);
    respond(response, 500, { code: "internal" });
  }
}

function respond(response: ServerResponse, status: number, body: Readonly<Record<string, unknown>>): void {
  const challenge = status === 401 ? { "www-authenticate": "Bearer" } : {};
  const headers = { "content-type": "application/json", "cache-control": "no-store", ...challenge };
  response.writeHead(status, headers).end(JSON.stringify(body));
}
