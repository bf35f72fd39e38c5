/** Tells the bench where this process listens; ends with it. */
export function announce(address: unknown): void {
  const port = typeof address === "object" && address !== null && "port" in address ? address.port : 0;
  process.send?.({ port });
  process.on("disconnect", () => process.exit());
}
