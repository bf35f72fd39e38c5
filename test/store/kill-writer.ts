import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { aDraft, aServer } from "../harness/entities.ts";

/*
 * Child of the kill test: writes a server and its event in each transaction and records staged events in others, until it is
 * killed. Prints one line per transaction that was answered as committed.
 */

const store = await openStore({ dataDir: process.argv[2] ?? "", clock: systemClock });
for (let round = 0; ; round += 1) {
  const server = aServer({ name: `server-${process.pid}-${round}` });
  await store.transaction(async ({ servers, audit }) => {
    await servers.insert(server);
    await audit.stage(aDraft({ resource: { type: "server", id: server.id, name: server.name } }));
  });
  process.stdout.write(`${server.id}\n`);
  if (round % 3 !== 2) continue;
  await store.transaction(async ({ audit }) => {
    const last = await audit.lastSeq();
    await audit.append(await audit.takeStaged(100), last + 1);
  });
}
