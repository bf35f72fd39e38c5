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
