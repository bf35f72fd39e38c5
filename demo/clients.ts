import { Client, ProtocolError, SdkHttpError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { z } from "zod";

/** How one call through the gateway ended. */
export type CallEnd =
  | { readonly kind: "answered"; readonly text: string }
  | { readonly kind: "refused"; readonly code: number; readonly reason: string; readonly message: string };

const RefusalData = z.object({ reason: z.string() });
const Content = z.object({ content: z.array(z.object({ type: z.string(), text: z.string().optional() })) });

/** A real MCP client that shows this key; MUST be closed. */
export async function connect(url: string, key: string): Promise<Client> {
  const client = new Client({ name: "runlayer-demo", version: "1.0.0" });
  const requestInit = { headers: { Authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}

/** The HTTP status with which a connection is refused; undefined where it is let in. */
export async function connectStatus(url: string, key: string): Promise<number | undefined> {
  try {
    const client = await connect(url, key);
    await client.close();
    return undefined;
  } catch (error) {
    return statusOf(error);
  }
}

/** Calls a tool as an agent does. Throws only what is neither an answer nor a refusal by rule. */
export async function call(client: Client, name: string, args: Record<string, unknown>): Promise<CallEnd> {
  try {
    const { content } = Content.parse(await client.callTool({ name, arguments: args }));
    return { kind: "answered", text: content.map(({ text = "" }) => text).join("\n") };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const data = RefusalData.safeParse(error.data);
    return { kind: "refused", code: error.code, reason: data.data?.reason ?? "", message: error.message };
  }
}

/** The HTTP status with which a call on an open connection is refused; undefined where it is answered. */
export async function callStatus(
  client: Client,
  name: string,
  args: Record<string, unknown>,
): Promise<number | undefined> {
  try {
    await client.callTool({ name, arguments: args });
    return undefined;
  } catch (error) {
    return statusOf(error);
  }
}

/** Runs an operation through its tool on `/mcp` and checks the answer's shape. Throws what the operation refused. */
export async function manage<T extends z.ZodType>(
  client: Client,
  { tool, input, output }: { readonly tool: string; readonly input: Record<string, unknown>; readonly output: T },
): Promise<z.output<T>> {
  const { isError, structuredContent } = await client.callTool({ name: tool, arguments: input });
  if (isError === true) throw new Error(`${tool}: ${JSON.stringify(structuredContent)}`);
  return output.parse(structuredContent);
}

function statusOf(error: unknown): number {
  if (error instanceof SdkHttpError) return error.status;
  throw error;
}
