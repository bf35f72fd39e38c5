import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { storeConformance } from "./conformance.ts";

const folder = mkdtempSync(join(tmpdir(), "runlayer-sqlite-"));
let stores = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

storeConformance("SQLite", () => {
  stores += 1;
  return openStore({ dataDir: join(folder, String(stores)), clock: systemClock });
});
