import { lookup as lookupWithSystem, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { checkAddress, checkHost, type EgressRules } from "./check-url.ts";
import { bareName } from "./own-listeners.ts";
import type { PeerBook } from "./peer-book.ts";

/** Gives every address of a name. The operating system's resolver by default, so that `/etc/hosts` counts. */
export type ResolveName = (host: string) => Promise<readonly LookupAddress[]>;

export interface ConnectorOptions {
  readonly rules: () => EgressRules;
  readonly resolveName: ResolveName;
  readonly connectTimeoutMs: number;
  /** Writes down who answered. */
  readonly peers?: PeerBook | undefined;
  /** Additional trusted certificates in PEM form. */
  readonly ca?: readonly string[] | undefined;
}

/**
 * An undici connector that resolves once, refuses unless EVERY address is allowed, connects to those addresses only, and
 * checks the connected address again before a byte is sent. A name that changes its answer between check and connect
 * (DNS rebinding) therefore gains nothing.
 */
export function createCheckedConnector(options: ConnectorOptions): buildConnector.connector {
  const { rules, connectTimeoutMs, ca } = options;
  // One per port, because a lookup is not told the port and each connector keeps its own TLS sessions.
  const connectors = new Map<number, buildConnector.connector>();
  return (target, callback) => {
    const host = bareName(target.hostname);
    const port = Number(target.port) || (target.protocol === "https:" ? 443 : 80);
    try {
      checkHost(host, port, rules());
    } catch (error) {
      callback(asError(error), null);
      return;
    }
    connectorOf(port)(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      try {
        checkAddress(socket.remoteAddress ?? "", port, { ...rules(), host });
      } catch (refused) {
        socket.destroy();
        return callback(asError(refused), null);
      }
      options.peers?.connected(host, port, socket);
      callback(null, socket);
    });
  };

  function connectorOf(port: number): buildConnector.connector {
    const known = connectors.get(port);
    if (known !== undefined) return known;
    // HTTP/1.1 only: one request per connection at a time keeps limits and cancellation per request.
    const trusted = ca === undefined ? {} : { ca: [...ca] };
    const lookup = checkedLookup(options, port);
    const made = buildConnector({ lookup, timeout: connectTimeoutMs, allowH2: false, ...trusted });
    connectors.set(port, made);
    return made;
  }
}

/** Every address of `host`, after the operating system's rules; fails as `dns.lookup` does. */
export const resolveWithSystem: ResolveName = (host) =>
  new Promise((resolve, reject) => {
    lookupWithSystem(host, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
  });

/** The addresses of `host`, each checked: one refused address refuses the name. */
export async function resolveChecked(
  host: string,
  port: number,
  options: Pick<ConnectorOptions, "rules" | "resolveName">,
): Promise<readonly LookupAddress[]> {
  const addresses = await options.resolveName(host);
  const rules = options.rules();
  for (const { address } of addresses) checkAddress(address, port, { ...rules, host });
  return addresses;
}

function checkedLookup(options: ConnectorOptions, port: number): LookupFunction {
  return (host, lookupOptions, callback) => {
    resolveChecked(bareName(host), port, options).then(
      (addresses) => {
        options.peers?.resolved(
          host,
          addresses.map(({ address }) => address),
        );
        const [first] = addresses;
        if (first === undefined) return callback(new Error(`${host} has no address`), []);
        return lookupOptions.all === true
          ? callback(null, [...addresses])
          : callback(null, first.address, first.family);
      },
      (error: unknown) => callback(asError(error), []),
    );
  };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
