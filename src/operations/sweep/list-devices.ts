import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, toPageAnswer, toPageRequest } from "../fields.ts";
import { DeviceOutput, showDevice } from "./device-output.ts";

/** The enrolled devices, page by page. */
export const listDevices = defineOperation({
  name: "list_devices",
  title: "List devices",
  description:
    "Lists enrolled devices with when each was last seen and last reported, oldest first. get_scan_results with `device` shows what was found on one.",
  route: "GET /devices",
  command: "devices list",
  roles: [...READERS, "scanner"],
  effect: "read",
  input: z.object({ query: QueryField, ...pageInput }),
  output: pageOutput(DeviceOutput),
  async handle(input, context) {
    const page = await context.repositories.devices.list(input.query, toPageRequest(input));
    return toPageAnswer(page, (device) => showDevice(device, context));
  },
  summarize: ({ items, total }) => `${items.length} of ${total} devices.`,
});
