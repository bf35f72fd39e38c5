import { isIP } from "node:net";
import { AppError } from "../errors.ts";
import { type AddressClass, classifyAddress } from "./address-class.ts";
import { bareName, isLocalhostName, isOwnListener, type OwnListener } from "./own-listeners.ts";

/** What an outbound connection may reach. */
export interface EgressRules {
  readonly allowPrivateNetwork: boolean;
  readonly ownListeners: readonly OwnListener[];
  /** The input field to name in messages; `url` if absent. */
  readonly field?: string | undefined;
}

/** Metadata services by name; their addresses are refused too, but a resolver may hide them. */
const METADATA_NAMES = new Set(["metadata.google.internal", "metadata", "metadata.goog", "instance-data"]);

const URL_LENGTH_MAX = 2048;

/**
 * The parsed URL if its text may be contacted, else throws `invalid_input` that says what is wrong and how to mend it.
 * Names are not resolved here: the connection checks each address again (see `checkAddress`).
 */
export function checkUrl(input: string | URL, rules: EgressRules): URL {
  const url = parseUrl(input, rules);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refusal(rules, `uses \`${url.protocol}\`; only \`http:\` and \`https:\` can be contacted`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refusal(rules, "must not hold a user name or password; give them as `credential`");
  }
  checkHost(bareName(url.hostname), portOf(url), rules);
  return url;
}

/**
 * Throws `invalid_input` unless a connection to `host` (name or address literal, without brackets) and `port` is allowed.
 */
export function checkHost(host: string, port: number, rules: EgressRules): void {
  if (host === "") throw refusal(rules, "has no host name; give one");
  if (isIP(host) !== 0) return checkAddress(host, port, { ...rules, host });
  if (METADATA_NAMES.has(host)) {
    throw refusal(
      rules,
      `points to the cloud metadata service (\`${host}\`), which is always refused; use another address`,
    );
  }
  refuseOwnListener(host, port, rules);
  if (isLocalhostName(host)) refuseClass({ kind: "private", what: "this machine" }, host, rules);
}

/** Throws `invalid_input` unless the resolved or connected `address` is allowed; `host` is what the URL calls it. */
export function checkAddress(address: string, port: number, rules: EgressRules & { readonly host: string }): void {
  const shown = rules.host === address ? address : `${rules.host}\` → \`${address}`;
  refuseOwnListener(address, port, rules);
  refuseClass(classifyAddress(address), shown, rules);
}

/** The port that the URL means, its scheme's default included. */
export function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

function parseUrl(input: string | URL, rules: EgressRules): URL {
  if (input instanceof URL) return input;
  if (input.length > URL_LENGTH_MAX) throw refusal(rules, `is longer than ${URL_LENGTH_MAX} characters; shorten it`);
  const url = URL.parse(input);
  if (url === null) throw refusal(rules, "is no absolute URL; give one such as `https://mcp.example.com/mcp`");
  return url;
}

function refuseOwnListener(host: string, port: number, rules: EgressRules): void {
  if (!isOwnListener(rules.ownListeners, host, port)) return;
  throw refusal(
    rules,
    `points to this Runlayer itself (\`${host}\`, port ${port}); give the address of the MCP server`,
  );
}

function refuseClass(found: AddressClass, shown: string, rules: EgressRules): void {
  if (found.kind === "public") return;
  if (found.kind === "refused") {
    throw refusal(rules, `points to ${found.what} (\`${shown}\`), which is always refused; use another address`);
  }
  if (rules.allowPrivateNetwork) return;
  throw refusal(
    rules,
    `points to ${found.what} (\`${shown}\`); set \`allowPrivateNetwork\` to \`true\` if it is meant to be reached`,
  );
}

function refusal(rules: EgressRules, fault: string): AppError {
  const field = rules.field ?? "url";
  return new AppError("invalid_input", `\`${field}\` ${fault}`, { details: { field } });
}
