import { isIP, isIPv6 } from "node:net";
import { join, resolve } from "node:path";
import { AppError } from "../lib/errors.ts";
import { parseIpRange, type IpRange } from "../lib/ip.ts";
import { readVariable } from "../lib/read-variable.ts";

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** How this process runs; from the environment and the flags of `runlayer serve` (contract section 8). */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly masterKey: string | undefined;
  readonly masterKeyFile: string | undefined;
  /** Without a trailing slash; undefined where it follows from the address that is listened on. */
  readonly publicUrl: string | undefined;
  readonly trustedProxies: readonly IpRange[];
  readonly bootstrapKey: string | undefined;
  readonly isStdioAllowed: boolean;
  readonly stdioUser: string | undefined;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every variable, with what it means: the flags, their help and the table in the README follow from this. */
export const VARIABLES = {
  RUNLAYER_HOST: "Address to listen on (127.0.0.1)",
  RUNLAYER_PORT: "Port to listen on (7420)",
  RUNLAYER_DATA_DIR: "Folder of the database, the audit journal and the master key file (data/)",
  RUNLAYER_DATABASE_URL: "postgres://… instead of the SQLite file in the data folder",
  RUNLAYER_MASTER_KEY: "32 bytes in base64 or hex that seal every stored secret",
  RUNLAYER_MASTER_KEY_FILE: "File that holds the master key, mode 0600 (made in the data folder)",
  RUNLAYER_PUBLIC_URL: "URL under which clients reach this installation",
  RUNLAYER_TRUSTED_PROXIES: "Addresses or CIDR ranges whose X-Forwarded-For is believed, comma separated (none)",
  RUNLAYER_BOOTSTRAP_KEY: "First owner key, at least 40 characters, starts with rl_org_",
  RUNLAYER_ALLOW_STDIO: "Whether stdio servers may be registered and started (true)",
  RUNLAYER_STDIO_USER: "System user that runs stdio servers; needed when started as root",
  RUNLAYER_LOG_LEVEL: "trace, debug, info, warn, error, fatal or silent (info)",
  RUNLAYER_INSECURE_HTTP: "true allows listening beyond loopback without TLS in front (false)",
} as const;

const BOOTSTRAP_CHARACTERS_MIN = 40;

/** Reads and checks the whole configuration. Throws `invalid_input` with one line: the variable, the fault, a valid example. */
export function parseConfig(environment: Environment, defaultDataDir: string): Config {
  const read = (name: keyof typeof VARIABLES) => readVariable(environment, name);
  const config: Config = {
    host: parseHost(read("RUNLAYER_HOST")),
    port: parsePort(read("RUNLAYER_PORT")),
    dataDir: resolve(read("RUNLAYER_DATA_DIR") ?? defaultDataDir),
    databaseUrl: parseDatabaseUrl(read("RUNLAYER_DATABASE_URL")),
    masterKey: read("RUNLAYER_MASTER_KEY"),
    masterKeyFile: read("RUNLAYER_MASTER_KEY_FILE"),
    publicUrl: parsePublicUrl(read("RUNLAYER_PUBLIC_URL")),
    trustedProxies: parseProxies(read("RUNLAYER_TRUSTED_PROXIES")),
    bootstrapKey: parseBootstrapKey(read("RUNLAYER_BOOTSTRAP_KEY")),
    isStdioAllowed: parseFlag("RUNLAYER_ALLOW_STDIO", read("RUNLAYER_ALLOW_STDIO") ?? "true"),
    stdioUser: read("RUNLAYER_STDIO_USER"),
    logLevel: parseLogLevel(read("RUNLAYER_LOG_LEVEL") ?? "info"),
  };
  const isInsecureAllowed = parseFlag("RUNLAYER_INSECURE_HTTP", read("RUNLAYER_INSECURE_HTTP") ?? "false");
  if (!isInsecureAllowed) refuseOpenHttp(config);
  return config;
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/**
 * Whether only this machine reaches the installation. A public URL elsewhere, or a trusted proxy, means that others do through a
 * proxy, whose connections come from loopback too.
 */
export function isOnLoopbackOnly({
  host,
  publicUrl,
  trustedProxies,
}: Pick<Config, "host" | "publicUrl" | "trustedProxies">): boolean {
  if (!isLoopbackHost(host) || trustedProxies.length > 0) return false;
  return publicUrl === undefined || isLoopbackHost(new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, "$1"));
}

/** The data folder of a clone; beside the working directory where the package is installed as a dependency. */
export function defaultDataDir(packageRoot: string): string {
  return packageRoot.includes("node_modules") ? resolve("data") : join(packageRoot, "data");
}

function refuseOpenHttp({ host, publicUrl }: Config): void {
  if (isLoopbackHost(host) || publicUrl?.startsWith("https://") === true) return;
  throw fault(
    "RUNLAYER_HOST",
    `\`${host}\` is not loopback and keys would travel unencrypted; put TLS in front and set RUNLAYER_PUBLIC_URL=https://runlayer.example.com, or set RUNLAYER_INSECURE_HTTP=true`,
  );
}

/** In lower case. Must be able to stand in a URL: clients are told one. */
function parseHost(text = "127.0.0.1"): string {
  const isAddress = isIP(text) !== 0 || /^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$/i.test(text);
  if (isAddress && URL.canParse(`http://${isIPv6(text) ? `[${text}]` : text}`)) return text.toLowerCase();
  throw fault("RUNLAYER_HOST", `\`${text}\` is no address or host name, without port; a valid one is 127.0.0.1`);
}

function parsePort(text = "7420"): number {
  const port = Number(text);
  // 0 would be another port at each start, which no client could be told.
  if (/^\d{1,5}$/.test(text) && port > 0 && port <= 65_535) return port;
  throw fault("RUNLAYER_PORT", `\`${text}\` is no port; a valid one is 7420`);
}

function parseFlag(name: keyof typeof VARIABLES, text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw fault(name, `\`${text}\` is neither true nor false; a valid one is ${name}=true`);
}

function parseLogLevel(text: string): Config["logLevel"] {
  const level = LOG_LEVELS.find((candidate) => candidate === text);
  if (level === undefined)
    throw fault("RUNLAYER_LOG_LEVEL", `\`${text}\` is no level; valid ones are ${LOG_LEVELS.join(", ")}`);
  return level;
}

/** The URL may hold a password: it is never repeated. */
function parseDatabaseUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const example = "a valid one is postgres://user:password@host:5432/runlayer";
  if (!/^postgres(?:ql)?:\/\/\S+$/.test(text)) {
    throw fault("RUNLAYER_DATABASE_URL", `is no PostgreSQL URL; ${example}`);
  }
  if (isReadableUrl(text)) return text;
  throw fault(
    "RUNLAYER_DATABASE_URL",
    `cannot be read; in the user and the password write \`#\` as %23, \`/\` as %2F, \`?\` as %3F, \`@\` as %40, \`%\` as %25; ${example}`,
  );
}

/** False where a password that is not percent-encoded would become another part of the URL, and might be shown as that. */
function isReadableUrl(text: string): boolean {
  // A server behind a Unix socket has no host here: `postgres://user@/runlayer?host=/run/postgresql`.
  const whole = text.replace("@/", "@localhost/");
  if (!URL.canParse(whole)) return false;
  const { pathname, hash } = new URL(whole);
  return hash === "" && !pathname.includes("@");
}

function parsePublicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isUsable =
    url !== undefined && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "" && url.username === "";
  if (isUsable) return url.href.replace(/\/+$/, "");
  throw fault("RUNLAYER_PUBLIC_URL", "is no plain http or https URL; a valid one is https://runlayer.example.com");
}

function parseProxies(text: string | undefined): readonly IpRange[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const range = parseIpRange(part);
      if (range !== undefined) return range;
      throw fault(
        "RUNLAYER_TRUSTED_PROXIES",
        `\`${part}\` is no address or range; a valid value is 10.0.0.0/8,192.0.2.7`,
      );
    });
}

/** The key itself is never repeated. */
function parseBootstrapKey(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const isUsable =
    text.startsWith("rl_org_") && text.length >= BOOTSTRAP_CHARACTERS_MIN && /^[A-Za-z0-9\-._~+/]+$/.test(text);
  if (isUsable) return text;
  throw fault(
    "RUNLAYER_BOOTSTRAP_KEY",
    `must start with rl_org_ and have at least ${BOOTSTRAP_CHARACTERS_MIN} letters, digits or \`-._~+/\`; make one with: echo rl_org_$(openssl rand -hex 20)`,
  );
}

function fault(variable: string, message: string): AppError {
  return new AppError("invalid_input", `${variable}: ${message}`);
}
