import { findOperand, type Launch, runnerLaunch } from "./launch.ts";

/** `docker run image`, or a runner for everything else that an engine does: `exec`, `compose`, `mcp gateway run`. */
export function containerLaunch(args: readonly string[], command: string): Launch {
  const { index } = findOperand(args, (option) => GLOBAL_VALUED.has(option));
  const [first, second] = args.slice(index);
  const from = first === "run" ? index + 1 : first === "container" && second === "run" ? index + 2 : undefined;
  if (from === undefined) return runnerLaunch(command, args);
  const after = args.slice(from);
  const image = findOperand(after, takesNext).index;
  const { name, version, pin } = splitImage(after[image] ?? "");
  if (name === "") return runnerLaunch(command, args);
  return { kind: "oci", name, version, pin, rest: after.slice(image + 1) };
}

const GLOBAL_VALUED: ReadonlySet<string> = new Set(
  "-c --context -H --host --config -l --log-level --tlscacert --tlscert --tlskey -n --namespace --address --url --connection --root --runroot".split(
    " ",
  ),
);

/** All options of `run` without a value: one that is missing here makes the image another one, and never another image this one. */
const BARE: ReadonlySet<string> = new Set(
  "--detach --interactive --tty --publish-all --rm --init --privileged --read-only --no-healthcheck --oom-kill-disable --sig-proxy --disable-content-trust --quiet --help --replace --rmi --tls-verify --http-proxy --no-hosts --no-hostname --env-host --passwd --read-only-tmpfs --rootfs --unsetenv-all".split(
    " ",
  ),
);

function takesNext(option: string): boolean {
  if (option.startsWith("--")) return !BARE.has(option);
  // `-it` has no value, `-ie` one in the next word, `-v/x:/y` its own.
  return option.replace(/^-[ditPq]*/, "").length === 1;
}

function splitImage(image: string): { name: string; version: string | undefined; pin: Launch["pin"] } {
  const [, name = image, tag, digest] = /^(.+?)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[a-f0-9]+))?$/.exec(image) ?? [];
  const short = name.replace(/^(?:index\.)?docker\.io\//, "").replace(/^library\//, "");
  // A tag can be moved to another image; only a digest cannot.
  const pin = digest !== undefined ? "pinned" : tag === undefined || tag === "latest" ? "latest" : "range";
  return { name: short.toLowerCase(), version: digest ?? tag, pin };
}
