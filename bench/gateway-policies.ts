import { fork } from "node:child_process";
import { once } from "node:events";
import { load, type Target } from "./gateway/load.ts";
import { startProduct, type Product } from "./gateway/product.ts";
import { usageOf } from "./gateway/usage.ts";

/*
 * What policies cost a call: CPU of the gateway with 100 policies against the gateway with none, in short turns one after another.
 * Twice: as an organization writes them, and the worst case, in which every policy tests an argument of every call.
 * `node bench/gateway-policies.ts`, about two minutes, Linux.
 */
const ROUNDS = 8;
const TURN_SECONDS = 2;
const CONCURRENCY = 16;
// The compiler's time is not the policies'.
const WARM_UP_ROUNDS = 3;

const everyone = { everyone: true };

/** Ten of each concern the calls that are made, and ten of those by their arguments. */
const USUAL = Array.from({ length: 10 }, (_, index) => [
  { principals: { groups: [`team-${index}`] }, resources: { servers: ["d0"], tools: ["delete_*"] } },
  { principals: { groups: [`unit-${index}`] }, resources: { groups: ["finance"] } },
  { principals: { agentTypes: [`type-${index}`] }, resources: { everything: true } },
  { principals: { roles: ["member"], except: { groups: [`team-${index}`] } }, resources: { servers: ["d1"] } },
  { principals: everyone, resources: { servers: ["d1"], tools: [`write_${index}*`] } },
  { principals: everyone, resources: { groups: [`zone-${index}`], tools: ["trait:destructive"] } },
  { principals: everyone, resources: { servers: ["d0"], tools: [`drop_${index}_*`] } },
  { principals: everyone, resources: { servers: ["d1"] }, conditions: amountOver(index) },
  { principals: { groups: [`team-${index}`] }, resources: { servers: ["d0"] }, conditions: amountOver(index) },
  { principals: everyone, resources: { servers: ["d0"], tools: ["read_*"] }, conditions: pathBelow(index) },
]).flat();

const WORST = Array.from({ length: 100 }, (_, index) => ({
  principals: everyone,
  resources: { servers: ["d0"], tools: [`delete_${index}*`, "read_*"] },
  conditions: pathBelow(index),
}));

const upstream = fork(new URL("./gateway/role-upstream.ts", import.meta.url));
const [hello]: { port: number }[] = await once(upstream, "message");
const url = `http://127.0.0.1:${hello?.port ?? 0}/0/mcp`;
const servers = { d0: url, d1: url };
const products: Product[] = [];
try {
  products.push(await startProduct(servers));
  for (const policies of [USUAL, WORST])
    products.push(await startProduct(servers, "before-dispatch", denies(policies)));
  const rounds: number[][] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    const micros: number[] = [];
    for (const product of products) micros.push(await cpuPerCall(product));
    rounds.push(micros);
  }
  const measured = rounds.slice(WARM_UP_ROUNDS);
  const median = (index: number): number => medianOf(measured.map((micros) => micros[index] ?? 0));
  const times = (index: number): number => medianOf(measured.map((micros) => (micros[index] ?? 0) / (micros[0] ?? 1)));
  const cost = (index: number): string => `${median(index).toFixed(0)} µs (${times(index).toFixed(2)}x)`;
  console.log(
    `CPU of a call: no policy ${median(0).toFixed(0)} µs, 100 usual ones ${cost(1)}, 100 at worst ${cost(2)}`,
  );
} finally {
  for (const product of products) await product.stop();
  upstream.kill();
}

function denies(policies: readonly object[]): object[] {
  return policies.map((policy, index) => ({ name: `bench-${index}`, effect: "deny", ...policy }));
}

function amountOver(value: number): object[] {
  return [{ field: "args.amount", operator: "gt", value }];
}

function pathBelow(index: number): object[] {
  return [{ field: "args.path", operator: "starts_with", value: `/secret/${index}/` }];
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
