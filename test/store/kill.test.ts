import { test } from "vitest";
import { killRounds } from "./kill-rounds.ts";

test("kill -9 while writing leaves no half change and loses nothing that was answered", () => killRounds(4));
