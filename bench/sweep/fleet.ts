import { Agent, request } from "undici";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { usageOf } from "../gateway/usage.ts";
import { reportOf } from "./fleet-reports.ts";
import { startFleetServer } from "./fleet-server.ts";
import { check } from "./report.ts";

/*
 * 10 000 devices of 20 servers each against 5 000 registered servers, through the real operations on SQLite: they report, then twice
 * a scan asks them for fresh reports and judges what they say. The second finds nothing new. CPU is the kernel's account (Linux).
 */

const [devices = 10_000, servers = 5_000] = process.argv.slice(2).map(Number);
const LANES = 32;

const Scan = z.object({
  scan: z.object({ id: z.string(), status: z.string(), finishedAt: z.string().optional() }),
  summary: z.object({ new: z.number(), resolved: z.number(), servers: z.number(), devices: z.number() }).optional(),
});

const fleet = await startFleetServer(devices, servers);
const dispatcher = new Agent({ connections: LANES });
try {
  const { hashKey } = z.object({ hashKey: z.string() }).parse(await post("/device-reports", {}, fleet.deviceKeys[0]));
  await report("idle server", hashKey);
  check("most memory so far, MB", fleet.peakMb());
  await scan("first scan", hashKey, (summary) => check("first scan, new findings", summary.new, { atLeast: 1 }));
  await scan("second scan", hashKey, (summary) => {
    check("second scan, new findings", summary.new, { atMost: 0 });
    check("second scan, resolved findings", summary.resolved, { atMost: 0 });
  });
} finally {
  await dispatcher.close();
  await fleet.stop();
}

/** All devices report once. */
async function report(name: string, hashKey: string): Promise<void> {
  const takenAt = Date.now();
  const reports = fleet.deviceKeys.map((_key, device) => reportOf(device, { hashKey, takenAt }));
  const before = usageOf(fleet.pid).cpuMicros;
  const startedAt = performance.now();
  const next = fleet.deviceKeys.entries();
  const lane = async (): Promise<void> => {
    for (const [device, key] of next) {
      const answer = await post("/device-reports", { compressed: reports[device] }, key);
      z.object({ accepted: z.literal(true) }).parse(answer);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (usageOf(fleet.pid).cpuMicros - before) / devices;
  check(`${name}: reports/s`, devices / seconds, { atLeast: 200 });
  check(`${name}: CPU µs per report`, cpu);
}

type Summary = NonNullable<z.output<typeof Scan>["summary"]>;

async function scan(name: string, hashKey: string, checkSummary: (summary: Summary) => void): Promise<void> {
  const asked = await post("/scans", { targets: ["devices"], timeoutSeconds: 900, wait: false }, fleet.ownerKey);
  const { id } = Scan.parse(asked).scan;
  await report(`${name} waits`, hashKey);
  const [startedAt, before] = [performance.now(), usageOf(fleet.pid).cpuMicros];
  for (;;) {
    const { scan, summary } = Scan.parse(await get(`/scan-results?scan=${id}&limit=1`));
    if (scan.status === "running") {
      await sleep(100);
      continue;
    }
    check(`${name}: s from the last report to the end`, (performance.now() - startedAt) / 1000, { atMost: 30 });
    check(`${name}: CPU s`, (usageOf(fleet.pid).cpuMicros - before) / 1e6);
    check(`${name}: most memory so far, MB`, fleet.peakMb());
    if (summary === undefined || scan.status !== "complete") throw new Error(`the scan ended as ${scan.status}`);
    check(`${name}: servers seen`, summary.servers, { atLeast: devices * 20 });
    checkSummary(summary);
    return;
  }
}

async function post(route: string, body: unknown, key = fleet.ownerKey): Promise<unknown> {
  return read(
    await request(`${fleet.url}/api/v1${route}`, {
      method: "POST",
      dispatcher,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      headersTimeout: 120_000,
    }),
  );
}

async function get(route: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${fleet.ownerKey}` };
  return read(await request(`${fleet.url}/api/v1${route}`, { dispatcher, headers, headersTimeout: 120_000 }));
}

async function read({ statusCode, body }: Awaited<ReturnType<typeof request>>): Promise<unknown> {
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`answered ${statusCode}: ${text}`);
  return JSON.parse(text);
}
