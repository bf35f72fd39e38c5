import { createLruCache, type LruCache } from "../lib/lru-cache.ts";
import { toToolTarget } from "../policy/policy-entities.ts";
import { createTarget, type Target } from "../policy/request.ts";
import type { ServerView } from "./snapshot.ts";

/** The thing that a message acts on. */
export interface MessageTarget {
  readonly type: "tool" | "prompt" | "resource" | "server";
  readonly name: string;
}

/** A name that the server does not list is a client's own choice, of which there is no end: so many are kept, and no long ones. */
const UNLISTED_MAX = 200;
const UNLISTED_CHARACTERS_MAX = 128;

interface KeptTargets {
  readonly server: Target;
  readonly listed: Map<string, Target>;
  readonly unlisted: LruCache<Target>;
}

const targets = new WeakMap<ServerView, KeptTargets>();

/** The same for the evaluator. Kept for the server itself and its tools, which are asked for again and again. */
export function targetOf(view: ServerView, { type, name }: MessageTarget): Target {
  const { server } = view;
  if (type === "prompt") return createTarget({ kind: "prompt", server, name });
  if (type === "resource") return createTarget({ kind: "resource", server, uri: name });
  const kept = targets.get(view) ?? keep(view);
  return type === "server" ? kept.server : toolOf(view, name, kept);
}

function keep(view: ServerView): KeptTargets {
  const server = { ...createTarget({ kind: "server", server: view.server }), isLasting: true };
  const kept = { server, listed: new Map<string, Target>(), unlisted: createLruCache<Target>(UNLISTED_MAX) };
  targets.set(view, kept);
  return kept;
}

function toolOf({ server, toolByName }: ServerView, name: string, { listed, unlisted }: KeptTargets): Target {
  const known = listed.get(name) ?? unlisted.get(name);
  if (known !== undefined) return known;
  const tool = toolByName.get(name);
  const isLasting = tool !== undefined || name.length <= UNLISTED_CHARACTERS_MAX;
  const target = { ...toToolTarget(server, name, tool), isLasting };
  if (tool !== undefined) listed.set(name, target);
  else if (isLasting) unlisted.set(name, target);
  return target;
}
