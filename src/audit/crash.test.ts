import { test } from "vitest";
import { provesCrashSafety } from "../../test/harness/audit-crash.ts";

test("what was acknowledged before a kill -9 is one event each, in a gapless log", () => provesCrashSafety(3));
