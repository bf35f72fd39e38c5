import { z } from "zod";
import { CredentialSchema } from "../../domain/server-secrets.ts";
import { SERVER_STATUSES, TRANSPORTS } from "../../domain/server.ts";
import { NameField, RefField, text } from "../fields.ts";

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/;
// RFC 9110 §5.5: visible characters, space and tab inside.
const HEADER_VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;
const HEADER_VALUE_RULE =
  "must be visible characters of Latin-1, with spaces and tabs between them only and no line break";
const NO_NUL = /^[^\0]*$/;
const NO_NUL_RULE = "holds a NUL character; remove it";

/** Fields that a server is created and changed with. */
export const serverFields = {
  name: NameField.describe("Unique name; part of its gateway URL"),
  description: text(2000).describe("What it is for"),
  transport: z.enum(TRANSPORTS).describe("How it is reached"),
  url: z.string().min(1).max(2048).describe("Endpoint of a `streamable-http` or `sse` server"),
  headers: z
    .record(
      z.string().regex(HEADER_NAME, "header name must be an RFC 9110 token"),
      z.string().regex(HEADER_VALUE, HEADER_VALUE_RULE).max(8192),
    )
    .describe("Fixed request headers; stored encrypted, never shown"),
  command: z.string().min(1).max(1024).regex(NO_NUL, NO_NUL_RULE).describe("Program of a `stdio` server"),
  args: z
    .array(z.string().max(8192).regex(NO_NUL, NO_NUL_RULE))
    .max(200)
    .describe("Arguments of the command; stored encrypted"),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be a variable name"),
      z.string().max(32_768).regex(NO_NUL, NO_NUL_RULE),
    )
    .describe("Environment of the command; stored encrypted, never shown"),
  cwd: z.string().min(1).max(4096).regex(NO_NUL, NO_NUL_RULE).describe("Working directory of the command"),
  credential: CredentialSchema.superRefine(requireSendable).describe(
    "What the gateway authenticates with; stored encrypted, never shown",
  ),
  groups: z.array(RefField).max(100).describe("Groups it belongs to; a new name makes a group"),
  owner: RefField.describe("Member who answers for it, by id or email"),
  status: z.enum(SERVER_STATUSES).describe("`disabled` and `quarantined` servers answer nobody"),
  allowPrivateNetwork: z.boolean().describe("Allow loopback and private addresses; needs `security` or above"),
  shareable: z.boolean().describe("Let agents share one upstream session or child process; needs `security` or above"),
};

/** What cannot be sent is refused here: the error of whoever tries to send it quotes it. */
function requireSendable(credential: z.output<typeof CredentialSchema>, context: z.RefinementCtx): void {
  const refuse = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
  if (credential.type === "bearer" && !HEADER_VALUE.test(credential.token)) refuse(HEADER_VALUE_RULE, "token");
  if (credential.type === "header" && !HEADER_VALUE.test(credential.value)) refuse(HEADER_VALUE_RULE, "value");
  if (credential.type !== "env") return;
  for (const [name, value] of Object.entries(credential.values))
    if (!NO_NUL.test(value)) refuse(NO_NUL_RULE, "values", name);
}

/** Names of headers that belong to the protocol or to the connection, in lower case. */
const PROTOCOL_HEADERS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "last-event-id",
  "origin",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Whether the gateway sets this header itself, so that nobody may fix it. */
export function isProtocolHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return PROTOCOL_HEADERS.has(lower) || lower.startsWith("mcp-") || lower.startsWith("proxy-");
}

/** Variables that make a program load other code: whoever sets one chooses what runs. */
export function isLoaderVariable(name: string): boolean {
  return /^(?:PATH|LD_.*|DYLD_.*|NODE_OPTIONS|NODE_PATH|PYTHONPATH|PYTHONSTARTUP|PERL5OPT|PERL5LIB|RUBYOPT|RUBYLIB|BASH_ENV|ENV|JAVA_TOOL_OPTIONS)$/i.test(
    name,
  );
}
