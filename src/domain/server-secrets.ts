import { z } from "zod";
import type { ServerSecrets } from "./server.ts";

const Text = z.string();

/** The credential as it is given on input and as it is sealed (contract, `create_mcp_server`). */
export const CredentialSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("none") }),
  z.strictObject({
    type: z.literal("bearer"),
    token: Text.min(1).max(8192).describe("Token sent as `Authorization: Bearer`"),
  }),
  z.strictObject({
    type: z.literal("header"),
    name: Text.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, "header name must be an RFC 9110 token").describe(
      "Header name",
    ),
    value: Text.min(1).max(8192).describe("Header value"),
  }),
  z.strictObject({
    type: z.literal("basic"),
    username: Text.min(1).max(1024).describe("User name"),
    password: Text.max(8192).describe("Password"),
  }),
  z.strictObject({
    type: z.literal("oauth-client-credentials"),
    tokenUrl: Text.min(1).max(2048).describe("Token endpoint of the authorization server"),
    clientId: Text.min(1).max(1024).describe("OAuth client id"),
    clientSecret: Text.min(1).max(8192).describe("OAuth client secret"),
    scopes: z.array(Text.min(1).max(256)).max(100).optional().describe("Scopes to ask for"),
  }),
  z.strictObject({
    type: z.literal("env"),
    values: z
      .record(Text.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be a variable name"), Text.max(32_768))
      .describe("Variables of the stdio child by name"),
  }),
]);

const ServerSecretsSchema = z.strictObject({
  credential: CredentialSchema,
  headers: z.record(Text, Text),
  env: z.record(Text, Text),
  args: z.array(Text),
});

/** Parses what the vault opened. Throws where the record is not of this form. */
export function parseServerSecrets(value: unknown): ServerSecrets {
  return ServerSecretsSchema.parse(value);
}
