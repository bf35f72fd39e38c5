import { pino, type Logger } from "pino";

/** Members that hold secrets wherever they occur; what is logged is chosen, this is the net below. */
const SECRET_PATHS = ["authorization", "token", "secret", "password", "key", "credential", "cookie"].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/** Structured logs on standard error, so that standard output stays for what a person or a script reads. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: { name: "runlayer" }, redact: { paths: SECRET_PATHS, censor: "[redacted]" } },
    pino.destination({ dest: 2, sync: false }),
  );
}
