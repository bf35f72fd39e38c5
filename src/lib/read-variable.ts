/** The value of an environment variable; an empty one is an unset one: that is how compose files and shells clear one. */
export function readVariable(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}
