/** Posts messages to the gateway as a client does, with nothing hidden. */
export interface Posted {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The messages of the answer, from JSON or from an event stream. */
  readonly messages: readonly Message[];
}

export interface Message {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> };
}

export const ACCEPT = "application/json, text/event-stream";

type PostArguments = [
  url: string,
  key: string | undefined,
  body: unknown,
  options?: { headers?: Record<string, string>; signal?: AbortSignal },
];

export async function post(...[url, key, body, { headers = {}, signal } = {}]: PostArguments): Promise<Posted> {
  const response = await fetch(url, {
    method: "POST",
    redirect: "manual",
    headers: {
      "content-type": "application/json",
      accept: ACCEPT,
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, messages: messagesOf(response.headers, text) };
}

export function request(id: string | number, method: string, params?: unknown): object {
  return { jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) };
}

export function call(id: string | number, tool: string, args: unknown = {}): object {
  return request(id, "tools/call", { name: tool, arguments: args });
}

function messagesOf(headers: Headers, text: string): Message[] {
  const type = headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) return [JSON.parse(text)];
  if (!type.startsWith("text/event-stream")) return [];
  return text
    .split("\n")
    .filter((line) => line.startsWith("data: ") && line.length > 6)
    .map((line) => JSON.parse(line.slice(6)));
}

/** An event stream that stays open, read event by event. */
export interface OpenStream {
  readonly status: number;
  readonly headers: Headers;
  /** The next event; undefined at the end, also when the connection broke. */
  next(): Promise<{ readonly id: string | undefined; readonly message: Message | undefined } | undefined>;
  /** Comments that were passed over on the way to the next event. */
  readonly comments: number;
  close(): void;
}

export async function openStream(url: string, init: RequestInit): Promise<OpenStream> {
  const controller = new AbortController();
  const response = await fetch(url, { ...init, signal: controller.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = "";
  let comments = 0;
  return {
    status: response.status,
    headers: response.headers,
    get comments() {
      return comments;
    },
    async next() {
      for (;;) {
        while (buffered.startsWith(":\n\n")) {
          buffered = buffered.slice(3);
          comments += 1;
        }
        if (buffered.includes("\n\n")) break;
        const read = await reader?.read().catch(() => undefined);
        if (read === undefined || read.done) return undefined;
        buffered += read.value;
      }
      const at = buffered.indexOf("\n\n");
      const lines = buffered.slice(0, at).split("\n");
      buffered = buffered.slice(at + 2);
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      return { id: field("id"), message: data === undefined || data === "" ? undefined : JSON.parse(data) };
    },
    close: () => controller.abort(),
  };
}

export function streamInit(key: string, body: unknown, headers: Record<string, string> = {}): RequestInit {
  const common = { authorization: `Bearer ${key}`, ...headers };
  if (body === undefined) return { method: "GET", headers: { accept: "text/event-stream", ...common } };
  return {
    method: "POST",
    headers: { "content-type": "application/json", accept: ACCEPT, ...common },
    body: JSON.stringify(body),
  };
}
