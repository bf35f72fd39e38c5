/**
 * Compares our evaluator with the Cedar library: `npm run fuzz:policy -- [cases] [seed]`. Prints the minimal case of the
 * first difference and exits with 1.
 */
import { fuzzPolicies } from "./policy-difference.ts";

const [cases = "1000000", seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
const report = fuzzPolicies(Number(seed), Number(cases));
process.stdout.write(
  `seed ${seed}: ${report.cases} cases, ${report.satisfied} determining, ${report.failed} failing\n`,
);
if (report.difference !== undefined) {
  process.stdout.write(`difference at ${report.difference}\n`);
  process.exitCode = 1;
}
