import type { MessageChannel } from "./message-channel.ts";

/** About what a message takes in memory beyond its text, so that very many small ones count as what they are. */
const OVERHEAD_BYTES = 512;

/** The channel, which says by `count` how many bytes more, or less where it is negative, wait for its server to take them. */
export function countUntaken(channel: MessageChannel, count: (bytes: number) => void): MessageChannel {
  return {
    send(message) {
      const bytes = message.length + OVERHEAD_BYTES;
      count(bytes);
      channel.send(message, () => count(-bytes));
    },
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    close: () => channel.close(),
  };
}
