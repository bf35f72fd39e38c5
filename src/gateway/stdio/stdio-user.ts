import { readFileSync } from "node:fs";
import { AppError } from "../../lib/errors.ts";

/** The account that stdio children run as. */
export interface StdioUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const NUMERIC = /^(\d{1,10})(?::(\d{1,10}))?$/;

/**
 * Finds `RUNLAYER_STDIO_USER` by name, `uid` or `uid:gid` in the passwd file. Throws `invalid_input` that names the variable when
 * there is no such account or it is root.
 */
export function findStdioUser(wanted: string, passwdFile = "/etc/passwd"): StdioUser {
  const accounts = readFileSync(passwdFile, "utf8").split("\n").map(parseAccount);
  const [, uid, gid] = NUMERIC.exec(wanted) ?? [];
  const known = accounts.find(
    (account) => account?.name === wanted || (uid !== undefined && account?.uid === Number(uid)),
  );
  const user = known ?? (uid !== undefined && gid !== undefined ? unnamed(Number(uid), Number(gid)) : undefined);
  if (user === undefined) {
    throw fault(`\`${wanted}\` is no account of this machine; create it or name another, for example \`nobody\``);
  }
  const found = gid === undefined ? user : { ...user, gid: Number(gid) };
  if (found.uid === 0 || found.gid === 0)
    throw fault(`\`${wanted}\` has the rights of root; name an account without any`);
  return found;
}

function parseAccount(line: string): StdioUser | undefined {
  const [name = "", , uid, gid, , home = "/"] = line.split(":");
  return uid === undefined || gid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid), home };
}

function unnamed(uid: number, gid: number): StdioUser {
  return { name: String(uid), uid, gid, home: "/" };
}

function fault(text: string): AppError {
  return new AppError("invalid_input", `\`RUNLAYER_STDIO_USER\`: ${text}`, {
    details: { field: "RUNLAYER_STDIO_USER" },
  });
}
