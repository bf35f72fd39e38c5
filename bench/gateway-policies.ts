import { fork } from "node:child_process";
import { once } from "node:events";
import { load, type Target } from "./gateway/load.ts";
import { startProduct, type Product } from "./gateway/product.ts";
import { usageOf } from "./gateway/usage.ts";

/*
 * What policies cost a call: CPU of the gateway with 100 policies in scope against the gateway with none, in short turns one after
 * another. `node bench/gateway-policies.ts`, about a minute, Linux.
 */
const ROUNDS = 8;
const TURN_SECONDS = 2;
const CONCURRENCY = 16;

const POLICIES = Array.from({ length: 100 }, (_, index) => ({
  name: `bench-${index}`,
  effect: "deny",
  principals: { everyone: true },
  resources: { servers: ["d0"], tools: [`delete_${index}*`, "read_*"] },
  conditions: [{ field: "args.path", operator: "starts_with", value: `/secret/${index}/` }],
}));

const upstream = fork(new URL("./gateway/role-upstream.ts", import.meta.url));
const [hello]: { port: number }[] = await once(upstream, "message");
const servers = { d0: `http://127.0.0.1:${hello?.port ?? 0}/0/mcp` };
const products: Product[] = [];
try {
  products.push(await startProduct(servers), await startProduct(servers, "before-dispatch", POLICIES));
  const rounds: number[][] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const micros: number[] = [];
    for (const product of products) micros.push(await cpuPerCall(product));
    rounds.push(micros);
  }
  // The first round warms up: the compiler's time is not the policies'.
  const [none = 0, hundred = 0] = [0, 1].map((index) => medianOf(rounds.slice(1).map((micros) => micros[index] ?? 0)));
  console.log(
    `no policy ${none.toFixed(0)} µs a call, 100 policies ${hundred.toFixed(0)} µs: ${(hundred / none).toFixed(2)}x`,
  );
} finally {
  for (const product of products) await product.stop();
  upstream.kill();
}

async function cpuPerCall({ pid, port, agentKey }: Product): Promise<number> {
  const headers = { authorization: `Bearer ${agentKey}` };
  const target: Target = { origin: `http://127.0.0.1:${port}`, path: "/gateway/d0/mcp", headers };
  const before = usageOf(pid).cpuMicros;
  const { calls } = await load(target, CONCURRENCY, TURN_SECONDS);
  return (usageOf(pid).cpuMicros - before) / calls;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
