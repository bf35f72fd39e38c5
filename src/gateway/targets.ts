import type { Target } from "./decide.ts";
import {
  itemsAt,
  memberOf,
  membersAt,
  textAt,
  type NotificationEnvelope,
  type RequestEnvelope,
} from "./envelope/envelope.ts";
import type { Member } from "./envelope/json-scanner.ts";
import type { MethodRule } from "./methods.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";

/** Each resource is decided by itself, by every policy, while all other traffic waits. */
const SUBSCRIBED_MAX = 256;
/** Policies search names for parts of them; no honest one is as long as this. */
const NAME_CHARACTERS_MAX = 8_192;

/** What a message acts on; the tool of a task is told by `toolOfTask`. Throws `RpcRefusal` where the message names nothing. */
export function readTargets(
  rule: MethodRule,
  envelope: RequestEnvelope | NotificationEnvelope,
  { toolOfTask, serverName }: { toolOfTask: (taskId: string) => string; serverName: string },
): readonly [Target, ...Target[]] {
  const text = (parent: { readonly members: readonly Member[] } | undefined, name: string): string =>
    requiredName(envelope.bytes, memberOf(parent, name), name);
  switch (rule.target) {
    case "tool":
    case "prompt":
      return [{ type: rule.target, name: text(envelope.params, "name") }];
    case "resource":
      return [{ type: "resource", name: checkedUri(text(envelope.params, "uri")) }];
    case "server":
      return [{ type: "server", name: serverName }];
    case "reference":
      return [readReference(envelope.bytes, memberOf(envelope.params, "ref"))];
    case "task":
      return [
        { type: "tool", name: toolOfTask(requiredText(envelope.bytes, memberOf(envelope.params, "taskId"), "taskId")) },
      ];
    case "subscription":
      return readSubscription(envelope, serverName);
    default:
      return refuse("it is not known what this method acts on");
  }
}

/** `ref` of `completion/complete`: a prompt by name or a resource by URI (or its template). */
function readReference(bytes: Buffer, ref: Member | undefined): Target {
  const parent = { members: membersAt(bytes, ref) };
  const type = textAt(bytes, memberOf(parent, "type"));
  if (type === "ref/prompt") return { type: "prompt", name: requiredName(bytes, memberOf(parent, "name"), "ref.name") };
  if (type === "ref/resource")
    return { type: "resource", name: checkedUri(requiredName(bytes, memberOf(parent, "uri"), "ref.uri")) };
  return refuse("`ref.type` must be `ref/prompt` or `ref/resource`");
}

/** `subscriptions/listen` (2026-07-28): the resources to be told of, if any; lists are the server's own business. */
function readSubscription(
  { bytes, params }: RequestEnvelope | NotificationEnvelope,
  serverName: string,
): readonly [Target, ...Target[]] {
  const filter = { members: membersAt(bytes, memberOf(params, "notifications")) };
  const uris = itemsAt(bytes, memberOf(filter, "resourceSubscriptions"));
  if (uris.length > SUBSCRIBED_MAX)
    return refuse(`one subscription names at most ${SUBSCRIBED_MAX} resources; open others for the rest`);
  const resources = uris.map((item): Target => ({
    type: "resource",
    name: checkedUri(requiredName(bytes, item, "resourceSubscriptions")),
  }));
  return [{ type: "server", name: serverName }, ...resources];
}

// A URL parser drops control characters and resolves dot segments, plain or percent-encoded (WHATWG URL, path state).
const RESOLVED_AWAY = /\p{Cc}|(?:^|[/\\:]|%2f|%5c)(?:\.|%2e){1,2}(?=$|[/\\?#]|%2f|%5c)/iu;

/** An upstream that resolves `..` would read another resource than the one that was decided: such a URI is refused. */
function checkedUri(uri: string): string {
  return RESOLVED_AWAY.test(uri) ? refuse("a resource URI must hold no dot segments and no control characters") : uri;
}

function requiredName(bytes: Buffer, member: Member | undefined, name: string): string {
  const text = requiredText(bytes, member, name);
  return text.length > NAME_CHARACTERS_MAX
    ? refuse(`\`params.${name}\` is over ${NAME_CHARACTERS_MAX} characters`)
    : text;
}

function requiredText(bytes: Buffer, member: Member | undefined, name: string): string {
  const text = textAt(bytes, member);
  // Half a surrogate pair reads differently in each language, so it could name two things.
  if (text === undefined || !text.isWellFormed()) return refuse(`\`params.${name}\` must be a text`);
  return text;
}

function refuse(message: string): never {
  throw new RpcRefusal({ status: 200, code: RPC_CODES.invalidParams, message });
}
