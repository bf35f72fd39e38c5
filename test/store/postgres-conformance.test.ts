import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { type TestPostgres, startPostgres } from "../harness/postgres.ts";
import { storeConformance } from "./conformance.ts";

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const open = (databaseUrl: string) => openStore({ dataDir: "/nonexistent", databaseUrl, clock: systemClock });

storeConformance("PostgreSQL", async () => open(await postgres.createDatabase()));

test("refuses a second store on the same database, not one on another database of the server", async () => {
  const [url, other] = [await postgres.createDatabase(), await postgres.createDatabase()];
  const first = await open(url);
  await expect(open(url)).rejects.toMatchObject({ code: "conflict" });
  await (await open(other)).close();
  await first.close();
  await (await open(url)).close();
});

test("recovers when the server ends its connections, unless another store took the database meanwhile", async () => {
  const url = await postgres.createDatabase();
  const first = await open(url);
  await first.transaction(({ values }) => values.set("a", "1"));
  await postgres.dropConnections();
  await eventually(() => first.transaction(({ values }) => values.set("a", "2")));
  await postgres.dropConnections();
  // The session that held the lock is gone, so that another process gets it.
  const second = await open(url);
  await expect(eventually(() => first.transaction(({ values }) => values.set("a", "3")))).rejects.toMatchObject({
    code: "unavailable",
  });
  expect(await second.read(({ values }) => values.find("a"))).toBe("2");
  await first.close();
  await second.close();
});

test("says in one line that the server cannot be reached, without the password", async () => {
  const refused = open("postgres://runlayer:hunter2-secret@127.0.0.1:1/none");
  await expect(refused).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/^RUNLAYER_DATABASE_URL: .*user:password@host/),
  });
  await expect(refused).rejects.not.toThrow(/hunter2|\n/);
});

test("answers `unavailable` while the database takes no writes", async () => {
  const url = await postgres.createDatabase();
  const store = await open(url);
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`alter database ${new URL(url).pathname.slice(1)} set default_transaction_read_only = on`);
  await client.end();
  await postgres.dropConnections();
  await eventually(() => store.read(({ values }) => values.find("a")));
  const write = () => store.transaction(({ values }) => values.set("a", "1"));
  await expect(write()).rejects.toMatchObject({ code: "unavailable" });
  await store.close();
});

test("refuses a database whose encoding cannot hold every text, and says how to make one", async () => {
  const url = await postgres.createDatabase("encoding 'LATIN1' template template0");
  await expect(open(url)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/LATIN1.*create database .* encoding 'UTF8'/),
  });
});

test("refuses text with a NUL character as invalid input", async () => {
  const store = await open(await postgres.createDatabase());
  await expect(store.transaction(({ values }) => values.set("nul", "a\0b"))).rejects.toMatchObject({
    code: "invalid_input",
  });
  await store.close();
});

/** The first queries on connections that the server ended may fail; the pool then makes new ones. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const result = await work().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if ("value" in result) return result.value;
  }
  return work();
}
