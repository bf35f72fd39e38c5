import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Egress } from "../lib/egress/egress.ts";
import { requestText } from "../lib/egress/request.ts";

export interface WebhookMessage {
  /** The same for the same fact, so that a receiver can drop what it has. */
  readonly id: string;
  readonly type: string;
  /** RFC 3339. */
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface WebhookTarget {
  readonly url: string;
  readonly allowPrivateNetwork: boolean;
  readonly secret: string;
}

export interface WebhookSenderOptions {
  readonly egress: Egress;
  /** Asked before each attempt; undefined drops the message. */
  readonly target: (type: string) => Promise<WebhookTarget | undefined>;
  readonly onProblem: (error: unknown) => void;
  /** Seconds since the epoch. */
  readonly nowSeconds: () => number;
  /** Waits between attempts; one attempt more than there are waits. */
  readonly backoffMs?: readonly number[] | undefined;
}

const QUEUE_MAX = 1000;
const BACKOFF_MS = [1000, 5000, 30_000, 120_000] as const;
const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** Posts messages in order, one at a time, and tries again with growing waits. What is queued is lost with the process. */
export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #queue: WebhookMessage[] = [];
  readonly #ended = new AbortController();
  #isPumping = false;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  /** Never waits and never throws. Beyond a thousand that wait, the oldest is dropped and reported. */
  post(message: WebhookMessage): void {
    if (this.#ended.signal.aborted) return;
    this.#queue.push(message);
    if (this.#queue.length > QUEUE_MAX) {
      this.#queue.shift();
      this.#options.onProblem(new Error("a notification was dropped: too many wait for the webhook"));
    }
    void this.#pump();
  }

  close(): void {
    this.#ended.abort();
    this.#queue.length = 0;
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift())
      await this.#deliver(message);
    this.#isPumping = false;
  }

  async #deliver(message: WebhookMessage): Promise<void> {
    const waits = this.#options.backoffMs ?? BACKOFF_MS;
    for (let attempt = 0; !this.#ended.signal.aborted; attempt += 1) {
      const failure = await this.#attempt(message);
      if (failure === undefined) return;
      const wait = waits[attempt];
      if (wait === undefined) return this.#options.onProblem(failure);
      await sleep(wait, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined);
    }
  }

  /** What went wrong; undefined where there is nothing more to do. */
  async #attempt(message: WebhookMessage): Promise<unknown> {
    const { egress, target: findTarget, nowSeconds } = this.#options;
    try {
      const target = await findTarget(message.type);
      if (target === undefined) return undefined;
      const body = JSON.stringify(message);
      const { status } = await requestText(egress, target.url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "runlayer-delivery": message.id,
          "runlayer-signature": signatureOf(body, target.secret, nowSeconds()),
        },
        body,
        allowPrivateNetwork: target.allowPrivateNetwork,
        timeoutMs: TIMEOUT_MS,
        responseBytesMax: ANSWER_BYTES_MAX,
        signal: this.#ended.signal,
      });
      if (status >= 200 && status < 300) return undefined;
      return new Error(`the webhook answered with HTTP status ${status}`);
    } catch (error) {
      return error;
    }
  }
}

/** `t=<seconds>,v1=<hex>`: HMAC-SHA-256 over the seconds, a dot and the body. The time keeps old messages from being replayed. */
function signatureOf(body: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
