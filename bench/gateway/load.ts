import { Pool } from "undici";

export interface Target {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Measured {
  readonly calls: number;
  readonly seconds: number;
  /** Milliseconds, sorted. */
  readonly latencies: readonly number[];
}

const ARGUMENTS = {
  path: "/home/user/project/src/index.ts",
  options: { encoding: "utf8", range: { start: 0, end: 4096 }, tags: ["a", "b", "c"] },
  note: "lorem ipsum dolor sit amet ".repeat(28),
};

/** Keeps `concurrency` calls in flight for the time given. Throws when a call is not answered as expected. */
export async function load(target: Target, concurrency: number, seconds: number): Promise<Measured> {
  const pool = new Pool(target.origin, { connections: concurrency, pipelining: 1 });
  const latencies: number[] = [];
  const start = performance.now();
  const until = start + seconds * 1000;
  let id = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      id += 1;
      const before = performance.now();
      await callOnce(pool, target, id);
      latencies.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const elapsed = (performance.now() - start) / 1000;
  await pool.close();
  return { calls: latencies.length, seconds: elapsed, latencies: latencies.toSorted((left, right) => left - right) };
}

async function callOnce(pool: Pool, { path, headers }: Target, id: number): Promise<void> {
  const message = { jsonrpc: "2.0", id, method: "tools/call", params: { name: "read_file", arguments: ARGUMENTS } };
  const { statusCode, body } = await pool.request({
    path,
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
    body: JSON.stringify(message),
  });
  const text = await body.text();
  if (statusCode !== 200 || !text.includes(`"id":${id}`) || text.includes('"error"'))
    throw new Error(`unexpected answer ${statusCode}: ${text.slice(0, 300)}`);
}

export function percentile({ latencies }: Measured, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
}
