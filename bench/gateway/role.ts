/** Tells the bench where this process listens and what it was told to tell; afterwards answers how much it used. */
export function announce(address: unknown, facts: Readonly<Record<string, string>> = {}): void {
  const port = typeof address === "object" && address !== null && "port" in address ? address.port : 0;
  process.send?.({ port, ...facts });
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMicros: user + system, rssBytes: process.memoryUsage.rss() });
  });
  process.on("disconnect", () => process.exit());
}
