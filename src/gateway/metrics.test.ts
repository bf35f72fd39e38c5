import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { createGatewayMetrics } from "./metrics.ts";

function valueOf(text: string, series: string): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

it("shows each call once, however often it is read", async () => {
  const registry = new Registry();
  const metrics = createGatewayMetrics(registry, () => undefined);
  const series = `runlayer_gateway_calls_total{server="mail",outcome="success"}`;
  metrics.called("mail", "success");
  metrics.called("mail", "success");
  metrics.called("mail", "denied");
  expect(valueOf(await registry.metrics(), series)).toBe(2);
  metrics.called("mail", "success");
  expect(valueOf(await registry.metrics(), series)).toBe(3);
  expect(valueOf(await registry.metrics(), series)).toBe(3);
});

it("shows every added time, few or many", async () => {
  const registry = new Registry();
  const metrics = createGatewayMetrics(registry, () => undefined);
  const countOf = async (): Promise<number> =>
    valueOf(await registry.metrics(), "runlayer_gateway_added_seconds_count");
  metrics.added(0.0002);
  expect(await countOf()).toBe(1);
  for (let calls = 0; calls < 700; calls += 1) metrics.added(0.003);
  expect(await countOf()).toBe(701);
  const bucket = `runlayer_gateway_added_seconds_bucket{le="0.0025"}`;
  expect(valueOf(await registry.metrics(), bucket)).toBe(1);
});
