/** Descriptor of the lifeline in the script below: the gateway holds the other end, so its death by any cause ends it. */
export const LIFELINE_FD = 3;

/**
 * The start of each stdio child, run by `/bin/sh`: arguments are the working directory, the grace in seconds, the mark, then the
 * command. It leaves a guard behind and becomes the command, so that the process that the gateway sees is the server itself.
 *
 * The guard waits for the end of the lifeline, which nothing else holds. Then it ends the process group, and also what left the
 * group (a browser with its own session, say) but still carries the mark in its environment. It works when the gateway is
 * killed with SIGKILL, because the kernel closes the lifeline.
 */
export const CHILD_SCRIPT = `
folder=$1 grace=$2 mark=$3
shift 3
cd "$folder" 2>/dev/null || { echo "cannot enter the working directory" >&2; exit 126; }
(
  trap '' TERM HUP INT QUIT
  exec </dev/null >/dev/null 2>&1
  PATH=/usr/bin:/bin:/usr/local/bin
  read -r _ <&3
  kill -TERM "-$$"
  sleep "$grace"
  for found in $(grep -lsa "RUNLAYER_CHILD=$mark" /proc/[0-9]*/environ); do
    found=\${found#/proc/}
    kill -KILL "\${found%/environ}"
  done
  kill -KILL "-$$"
) &
export RUNLAYER_CHILD="$mark"
exec "$@" 3<&-
`;
