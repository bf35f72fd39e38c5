import { join } from "node:path";
import { runAlone } from "./sweep/report.ts";

/**
 * `node bench/sweep.ts [home|fleet|network …]`: what the sweep costs, each part in processes of its own. Prints one line per measure
 * with its target and exits 1 when one is missed. The numbers of one machine are in docs/sweep.md.
 */
const PARTS = ["home", "network", "fleet"];
const chosen = process.argv.slice(2);

for (const part of chosen.length === 0 ? PARTS : chosen) {
  console.log(`\n${part}`);
  runAlone(join(import.meta.dirname, "sweep", `${part}.ts`));
}
