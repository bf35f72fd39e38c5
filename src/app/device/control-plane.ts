import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { readAnswer } from "../../lib/read-answer.ts";

/** Where a device reports, and its key. */
export interface ReportTarget {
  readonly url: string;
  readonly key: string;
}

const CheckIn = z.object({
  accepted: z.boolean(),
  reason: z.string().optional(),
  reportRequested: z.boolean(),
  checkInSeconds: z.number().min(1).max(86_400),
  hashKey: z.string().min(32),
});

export type CheckIn = z.output<typeof CheckIn>;

/** What became of a report. */
export interface Receipt {
  readonly accepted: boolean;
  readonly reason?: string;
}

const TIMEOUT_MS = 30_000;
const ANSWER_BYTES_MAX = 1_048_576;

/** Checks in, with a report if there is one. Throws `unavailable` where nobody answers, and what the control plane refuses. */
export async function submitReport(target: ReportTarget, compressed?: string): Promise<CheckIn> {
  const answer = await post(target, "/device-reports", compressed === undefined ? {} : { compressed });
  return CheckIn.parse(answer);
}

/** Enrolls a device with an organization key. Gives the device's own key. */
export async function enroll(target: ReportTarget, name: string): Promise<string> {
  const answer = await post(target, "/devices", { name });
  return z.object({ key: z.string().min(20) }).parse(answer).key;
}

const Problem = z.object({ code: z.string(), detail: z.string() });

async function post({ url, key }: ReportTarget, path: string, body: object): Promise<unknown> {
  const { status, text } = await send(`${url}/api/v1${path}`, key, body);
  const parsed = parseJson(text);
  if (status === 200) return parsed;
  const problem = Problem.safeParse(parsed);
  const detail = problem.success ? problem.data.detail : `\`${url}\` does not answer like a Runlayer server`;
  throw new AppError(codeOf(status), detail);
}

function codeOf(status: number): "unavailable" | "unauthenticated" | "forbidden" | "conflict" | "invalid_input" {
  if (status === 401) return "unauthenticated";
  if (status === 403) return "forbidden";
  if (status === 409) return "conflict";
  return status >= 400 && status < 500 && status !== 429 ? "invalid_input" : "unavailable";
}

async function send(url: string, key: string, body: object): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
      // The key goes to the address that was named and nowhere else.
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: response.status, text: await readAnswer(response, ANSWER_BYTES_MAX) };
  } catch (error) {
    throw new AppError("unavailable", `\`${new URL(url).origin}\` does not answer`, { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Whoever answers without JSON is no Runlayer server: the caller says so.
    return undefined;
  }
}
