import { test } from "vitest";
import { provesCrashSafety } from "../../test/harness/audit-crash.ts";

test("what was acknowledged in 20 lives that each ended by kill -9 is one event each", () => provesCrashSafety(20));
