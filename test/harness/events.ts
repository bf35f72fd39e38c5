import { expect } from "vitest";
import { at, type TestApp } from "./app.ts";

/** Expects exactly one event of this action on this resource, and gives it. */
export async function expectEvent(
  app: TestApp,
  { action, resourceId, outcome = "success" }: { action: string; resourceId: string; outcome?: string },
): Promise<unknown> {
  const { body } = await app.rest("GET /audit-events", { action, resource: resourceId, outcome });
  expect(body["total"]).toBe(1);
  return at(body, "items", 0);
}
