#!/usr/bin/env bash
# Installs four real AI clients and an agent into a temporary folder. Checks each client against a real server, on /mcp and on the gateway,
# and that the sweep finds what the clients write, the agent, and running servers. Exits with an error on the first miss.
# Needs `npm ci` to have run, and the package registry; finishes in five minutes or fails.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The inspector needs the project's Node.
export PATH="$PWD/node_modules/.bin:$PATH"

# As its owner would: a program in the home. It is large, so it comes while the others do.
timeout 150 npm install --global --prefix "$folder/openclaw-home/.local" --ignore-scripts --omit=optional --no-audit --no-fund \
  openclaw@2026.9.6 &
openclaw=$!

timeout 120 npm install --prefix "$folder" --ignore-scripts --no-package-lock --no-audit --no-fund \
  @modelcontextprotocol/inspector@2.12.0 \
  @openai/codex@0.169.0 \
  @anthropic-ai/claude-code@2.1.197 \
  @google/gemini-cli@0.61.0
# Of all install scripts only this one is needed: it puts the program of this platform in place.
(cd "$folder/node_modules/@anthropic-ai/claude-code" && timeout 60 node install.cjs)
wait "$openclaw"

RUNLAYER_CLIENTS_DIR="$folder" timeout 180 vitest run --project clients
