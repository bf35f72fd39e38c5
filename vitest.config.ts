import { join } from "node:path";
import { defineConfig } from "vitest/config";

// Hundreds of SQLite workers are started: they take compiled code from where the program keeps it, as those of the program do.
const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules", ".cache", "runlayer") };
// A poll ends once it holds: what a second is too short for on a busy machine is no failure.
const expect = { poll: { timeout: 10_000 } };
// Whole-system tests share two cores with real server processes: few files at a time keeps their timing honest.
const shared = { environment: "node", pool: "forks", testTimeout: 30_000, hookTimeout: 60_000, expect, env } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...shared,
          name: "fast",
          // One process runs many files: the program is loaded once and stays compiled. What its modules keep are caches and pools that
          // no test looks at, so that no file sees what another one did; what a file opens it closes.
          isolate: false,
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["**/*.long.test.ts", "test/clients/**", "**/node_modules/**"],
        },
      },
      {
        test: {
          ...shared,
          name: "long",
          include: ["src/**/*.long.test.ts", "test/**/*.long.test.ts"],
          testTimeout: 600_000,
        },
      },
      // Real AI clients, installed by .ci/clients.sh, which runs this.
      { test: { ...shared, name: "clients", include: ["test/clients/**/*.test.ts"], testTimeout: 120_000 } },
    ],
  },
});
