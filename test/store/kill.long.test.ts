import { test } from "vitest";
import { killRounds } from "./kill-rounds.ts";

test("kill -9 while writing, twenty times on one database", () => killRounds(20));
