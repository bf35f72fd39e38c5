import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** What happens to the uploads of a device; what carries no report always passes. */
export type LinkState = "passes" | "hangs midway" | "loses the answer" | "is down";

/** The network between a device and its control plane, which a test may disturb; its address stays while servers come and go. */
export interface ReportLink {
  readonly url: string;
  state: LinkState;
  /** Where it leads to. */
  target: string;
  /** Uploads that reached the other end, as they were sent. */
  readonly delivered: readonly string[];
  /** Resolves with the next upload that begins. */
  nextUpload(): Promise<void>;
  close(): Promise<void>;
}

const PASSES: LinkState = "passes";

export async function startReportLink(target: string): Promise<ReportLink> {
  const delivered: string[] = [];
  let onUpload: (() => void) | undefined;
  const server = createServer((request, response) => void pass(request, response).catch(() => response.destroy()));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const link = {
    url: `http://127.0.0.1:${port}`,
    state: PASSES,
    target,
    delivered,
    nextUpload: () => new Promise<void>((resolve) => (onUpload = resolve)),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (link.state === "is down") throw new Error("the link is down");
    const isUpload = Number(request.headers["content-length"] ?? 0) > 200;
    if (isUpload) onUpload?.();
    // The rest of the body is never read, and nobody answers.
    if (isUpload && link.state === "hangs midway") return;
    const body = await text(request);
    const answer = await send(link.target, request, body);
    if (isUpload) delivered.push(body);
    if (isUpload && link.state === "loses the answer") throw new Error("the answer is lost");
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  }

  return link;
}

function send(
  target: string,
  { url = "/", method = "GET", headers }: IncomingMessage,
  body: string,
): Promise<Response> {
  const { authorization = "" } = headers;
  return fetch(target + url, { method, headers: { authorization, "content-type": "application/json" }, body });
}
