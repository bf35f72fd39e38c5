import { readStart } from "./running-processes.ts";

const CGROUP_BYTES_MAX = 16 * 1024;
const ID_SHOWN = 12;

/**
 * The container in which a process runs, as the kernel alone tells: the runtime and the beginning of the id, as in `docker 3f29ab7c0d1e`, or the name where
 * the control group has it (LXC, systemd-nspawn). Undefined for a process of the machine itself, and where it may not be known.
 */
export async function readContainer(procFolder: string, pid: number): Promise<string | undefined> {
  return containerOf(await readStart(`${procFolder}/${String(pid)}/cgroup`, CGROUP_BYTES_MAX).catch(() => ""));
}

/** What makes the control group of a container recognizable; the first that fits says most. */
const RUNTIMES: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: "docker", pattern: /[/-]docker[/-]/ },
  { name: "podman", pattern: /\/libpod[-_]/ },
  { name: "cri-o", pattern: /\/crio-/ },
  { name: "containerd", pattern: /[/:-]containerd[/:-]/ },
  { name: "kubernetes", pattern: /\/kubepods[./]/ },
  { name: "ecs", pattern: /\/ecs\// },
];

const NAMED: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: "lxc", pattern: /\/lxc(?:\.payload)?[./]([\w.-]{1,64})/ },
  { name: "systemd-nspawn", pattern: /\/systemd-nspawn@([\w.-]{1,64})\.service/ },
];

/** Of the text of `/proc/<pid>/cgroup`, version 1 or 2: `hierarchy:controllers:path` in each line. */
function containerOf(text: string): string | undefined {
  for (const line of text.split("\n")) {
    // Of containers in containers the innermost.
    const id = [...line.matchAll(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)].at(-1);
    if (id !== undefined) {
      const known = RUNTIMES.find(({ pattern }) => pattern.test(line));
      return `${known?.name ?? "container"} ${id[0].slice(0, ID_SHOWN)}`;
    }
    for (const { name, pattern } of NAMED) {
      const found = pattern.exec(line)?.[1];
      if (found !== undefined) return `${name} ${found}`;
    }
  }
  return undefined;
}
