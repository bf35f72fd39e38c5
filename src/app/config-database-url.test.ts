import { describe, expect, test } from "vitest";
import { parseConfig } from "./config.ts";

const parse = (url: string) => parseConfig({ RUNLAYER_DATABASE_URL: url }, "/data").databaseUrl;

describe("RUNLAYER_DATABASE_URL", () => {
  test.each([
    "postgres://runlayer:secret@db.example.com:5432/runlayer",
    "postgresql://runlayer@db.example.com/runlayer?sslmode=require",
    "postgres://runlayer:p%23%2Fw%40@[2001:db8::1]/runlayer",
    "postgres://runlayer@/runlayer?host=/run/postgresql",
    "postgres:///runlayer",
    "postgres://%2Frun%2Fpostgresql/runlayer",
    // Wrong, but what comes out is what was meant.
    "postgres://runlayer:50%@db.example.com/runlayer",
    "postgres://runlayer:se@cret@db.example.com/runlayer",
  ])("is taken as it is: %s", (url) => expect(parse(url)).toBe(url));

  test.each([
    "mysql://db.example.com/runlayer",
    "postgres://runlayer:hunter#2@db.example.com/runlayer",
    "postgres://runlayer:12#hunter@db.example.com/runlayer",
    "postgres://runlayer:hunter/2@db.example.com/runlayer",
    "postgres://runlayer:12/hunter@db.example.com/runlayer",
    "postgres://runlayer:hunter?2@db.example.com/runlayer",
    "postgres://runlayer:hunter@db.example.com:99999/runlayer",
  ])("is refused in one line without the password: %s", (url) => {
    const refused = () => parse(url);
    expect(refused).toThrow(expect.objectContaining({ code: "invalid_input" }));
    expect(refused).toThrow(/^RUNLAYER_DATABASE_URL: (?!.*hunter)[^\n]*$/);
  });
});
