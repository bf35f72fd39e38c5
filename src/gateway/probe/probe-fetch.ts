import type { FetchLike } from "@modelcontextprotocol/client";
import type { Dispatcher } from "undici";
import type { Egress } from "../../lib/egress/egress.ts";
import { faultOf } from "../../lib/egress/request.ts";
import { AppError } from "../../lib/errors.ts";
import type { CredentialHeaders } from "../credentials.ts";
import type { SecretMask } from "../secret-mask.ts";
import type { Contact } from "./contact.ts";
import type { ProbeTarget } from "./target.ts";

export interface ProbeFetchOptions {
  readonly egress: Egress;
  readonly target: ProbeTarget;
  readonly url: URL;
  readonly credentialHeaders: CredentialHeaders;
  readonly contact: Contact;
  /** What is learned of a server is shown to agents. */
  readonly mask: SecretMask | undefined;
  /** Ends every exchange, open streams included. */
  readonly signal: AbortSignal;
}

/**
 * A `fetch` for the MCP SDK's transports over checked connections: to the origin of the server's URL only (so that a server
 * cannot send the credential elsewhere), no redirects, bodies counted against the contact's bound.
 */
export function createProbeFetch(options: ProbeFetchOptions): FetchLike {
  const { contact, target } = options;
  return async (input, init = {}) => {
    const url = new URL(input);
    if (url.origin !== options.url.origin) throw contact.fail("names another origin for its messages");
    // The standalone event stream (MCP 2025-11-25, transports) brings nothing that a discovery asks for.
    if (target.transport === "streamable-http" && init.method === "GET") return new Response(null, { status: 405 });
    try {
      return await exchange(url, init, options);
    } catch (error) {
      if (error instanceof AppError && error.code === "invalid_input") contact.refusal ??= error;
      else if (!options.signal.aborted && !(error instanceof AppError)) contact.fault ??= `fails: ${faultOf(error)}`;
      throw error;
    }
  };
}

async function exchange(url: URL, init: RequestInit, options: ProbeFetchOptions): Promise<Response> {
  const { egress, target, contact, signal } = options;
  const checked = egress.check(url, { allowPrivateNetwork: target.allowPrivateNetwork });
  const response = await egress.dispatcher(target).request({
    origin: checked.origin,
    path: checked.pathname + checked.search,
    method: init.method === "POST" ? "POST" : init.method === "DELETE" ? "DELETE" : "GET",
    headers: requestHeaders(init, options),
    body: typeof init.body === "string" ? init.body : null,
    signal: init.signal === undefined || init.signal === null ? signal : AbortSignal.any([signal, init.signal]),
  });
  contact.answered(response.statusCode);
  // An aborted body errors after its reader has gone; the abort is reported where it was decided.
  response.body.on("error", () => undefined);
  if (response.statusCode >= 300 && response.statusCode < 400) throw redirected(response, url, contact);
  if (response.statusCode === 204 || response.statusCode === 205) response.body.destroy();
  return new Response(response.statusCode === 204 || response.statusCode === 205 ? null : counted(response, options), {
    status: response.statusCode,
    headers: responseHeaders(response),
  });
}

/** The protocol's own headers win over configured ones, the credential over all. */
function requestHeaders(
  init: RequestInit,
  { target, credentialHeaders, contact }: ProbeFetchOptions,
): Record<string, string> {
  const headers = new Headers(target.headers);
  new Headers(init.headers).forEach((value, name) => headers.set(name, value));
  try {
    for (const [name, value] of Object.entries(credentialHeaders)) headers.set(name, value);
  } catch {
    // What it throws quotes the value.
    throw contact.fail("cannot be sent its credential, which holds characters that no header carries");
  }
  // Compressed answers could unfold to many times the counted bytes.
  headers.set("accept-encoding", "identity");
  return Object.fromEntries(headers);
}

function responseHeaders(response: Dispatcher.ResponseData): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(response.headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  }
  return headers;
}

function redirected(response: Dispatcher.ResponseData, from: URL, contact: Contact): AppError {
  response.body.destroy();
  const { location } = response.headers;
  const to = typeof location === "string" ? URL.parse(location, from.href) : null;
  // Path and query may carry what the upstream wants a reader to see: only an address on its own origin is repeated.
  const place =
    to === null ? "nowhere" : to.origin === from.origin ? `\`${to.pathname.slice(0, 200)}\`` : `\`${to.host}\``;
  return contact.fail(`redirects to ${place}, which is not followed; register the final address`);
}

function counted(response: Dispatcher.ResponseData, { contact, mask }: ProbeFetchOptions): ReadableStream<Uint8Array> {
  const masking = mask?.start();
  const chunks: AsyncIterator<Uint8Array> = response.body[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (done === true) {
          if (masking !== undefined) controller.enqueue(masking.end());
          return controller.close();
        }
        contact.receive(value.byteLength);
        controller.enqueue(masking === undefined ? value : masking.push(Buffer.from(value)));
      } catch (error) {
        response.body.destroy();
        controller.error(error);
      }
    },
    cancel() {
      response.body.destroy();
    },
  });
}
