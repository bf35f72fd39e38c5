import type { Operation } from "./define-operation.ts";
import { getOrganization } from "./organization/get-organization.ts";

/** Every operation, in the order of the contract. A line here puts it on all faces: MCP, REST, OpenAPI and CLI. */
export const OPERATIONS: readonly Operation[] = [getOrganization];
