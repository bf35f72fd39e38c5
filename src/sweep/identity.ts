import { createHmac } from "node:crypto";
import { domainToASCII } from "node:url";
import { maskText } from "../guard/mask-secrets.ts";
import type { Launch } from "./launch.ts";
import { parseLaunch } from "./parse-launch.ts";

/** What is needed to tell one server from another; configurations, processes and the registry all have it. */
export interface ServerSource {
  readonly url?: string | undefined;
  readonly command?: string | undefined;
  readonly args?: readonly string[] | undefined;
  /** Of the script or program that it runs, for display. */
  readonly sha256?: string | undefined;
}

/** Which server it is. Two sightings with equal families are the same server, with equal exact keys also the same version and arguments. */
export interface Identity {
  readonly kind: "url" | "pkg" | "oci" | "script" | "bin" | "cmd";
  readonly family: string;
  readonly exact: string;
  /** For display; holds no secret. */
  readonly label: string;
  readonly launch?: Launch | undefined;
  /** The address, if it is one (`kind`) or what is called like a bridge (`mcp-remote`) leads to one; without user, query and fragment. */
  readonly url?: string | undefined;
}

/**
 * Identifies a server by the strongest thing known: address, package, image, script, binary, command. Arguments enter keys only as an HMAC
 * with the organization's key, for they may hold secrets.
 */
export function identify(source: ServerSource, hashKey: string): Identity {
  const byUrl = source.url === undefined ? undefined : identifyUrl(source.url, hashKey);
  if (byUrl !== undefined) return byUrl;
  const launch = parseLaunch(source.command ?? "", source.args ?? []);
  const bridged = launch.bridge === undefined ? undefined : identifyUrl(launch.bridge.url, hashKey);
  if (bridged !== undefined && launch.bridge?.isProven === true) return { ...bridged, launch };
  const own = identifyLaunch(launch, source, hashKey);
  return bridged === undefined ? own : identifyCalledBridge(own, bridged);
}

function identifyLaunch(launch: Launch, source: ServerSource, hashKey: string): Identity {
  const family = familyOf(launch, source, hashKey);
  const details = keyedHash([launch.version ?? "", ...launch.rest].join("\0"), hashKey);
  return { kind: launch.kind, family, exact: `${family}@${details}`, label: labelOf(launch, source.sha256), launch };
}

/** What is only called like a bridge is what it is, for this address: it MUST NOT pass for the server, and not for what another one leads to. */
function identifyCalledBridge(own: Identity, { family, label, url }: Identity): Identity {
  return {
    ...own,
    family: `${own.family}>${family}`,
    exact: `${own.exact}>${family}`,
    label: `${own.label} to ${label}`,
    url,
  };
}

/** A URL in its one form: lower-case punycode host, no default port, no user, query or fragment. Undefined if it is none. */
export function canonicalUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!/^(?:https?|wss?):$/.test(url.protocol)) return undefined;
  url.username = "";
  url.password = "";
  url.search = "";
  url.hash = "";
  url.pathname = url.pathname.replace(/\/+$/, "");
  return url;
}

function identifyUrl(text: string, hashKey: string): Identity | undefined {
  const url = canonicalUrl(text);
  if (url === undefined) return undefined;
  const bareHost = bounded(domainToASCII(url.hostname) || url.hostname, hashKey);
  const host = `${bareHost}${url.port === "" ? "" : `:${url.port}`}`;
  const named = url.pathname
    .split("/")
    .map((segment) => (isTokenLike(segment) ? `~${keyedHash(segment, hashKey)}` : segment))
    .join("/")
    .replace(/\/$/, "");
  const path = bounded(named, hashKey);
  const family = `url:${host}${path.replace(/\/(?:mcp|sse)$/, "")}`;
  const display = `${url.protocol}//${host}${path}`;
  return { kind: "url", family, exact: `url:${display}`, label: display, url: display };
}

/** Longer than any honest name, script or path. */
const NAME_CHARACTERS_MAX = 500;

/** A text that fits where identities are stored and sent: two long ones that differ anywhere still differ. */
function bounded(text: string, hashKey: string): string {
  if (text.length <= NAME_CHARACTERS_MAX) return text;
  return `${text.slice(0, NAME_CHARACTERS_MAX - 20)}~${keyedHash(text, hashKey)}`;
}

/** A path segment that is a key rather than a name: some vendors put the user's secret into the path. */
function isTokenLike(segment: string): boolean {
  return (
    maskText(segment) !== segment ||
    (segment.length >= 20 &&
      /\d/.test(segment) &&
      /[a-z]/i.test(segment) &&
      !/^[a-z]+(?:[-_.][a-z0-9]+)*$/.test(segment)) ||
    /^[0-9a-f]{24,}$/i.test(segment)
  );
}

function familyOf(launch: Launch, { command = "", args = [] }: ServerSource, hashKey: string): string {
  const { kind, isRunner } = launch;
  const name = bounded(maskText(launch.name), hashKey);
  if (kind !== "cmd" && isRunner !== true) return `${kind}:${name}`;
  const line = keyedHash([command, ...args].map(maskText).join("\0"), hashKey);
  return kind === "cmd" ? `cmd:${line}` : `${kind}:${name}~${line}`;
}

function labelOf({ kind, name, version }: Launch, sha256: string | undefined): string {
  if (kind === "cmd") return "command";
  if (sha256 !== undefined) return `${maskText(name).slice(0, 200)}, sha256 ${sha256.slice(0, 16)}`;
  return maskText(version === undefined ? name : `${name}@${version}`).slice(0, 200);
}

function keyedHash(text: string, hashKey: string): string {
  return createHmac("sha256", hashKey).update(text).digest("hex").slice(0, 16);
}
