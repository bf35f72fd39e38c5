#!/usr/bin/env bash
# Installs four real AI clients into a temporary folder and checks each against a real server, on /mcp and on the gateway.
# Needs `npm ci` to have run, and the package registry; finishes in four minutes or fails.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The inspector needs the project's Node.
export PATH="$PWD/node_modules/.bin:$PATH"

timeout 120 npm install --prefix "$folder" --ignore-scripts --no-package-lock --no-audit --no-fund \
  @modelcontextprotocol/inspector@2.12.0 \
  @openai/codex@0.169.0 \
  @anthropic-ai/claude-code@2.1.197 \
  @google/gemini-cli@0.61.0
# Of all install scripts only this one is needed: it puts the program of this platform in place.
(cd "$folder/node_modules/@anthropic-ai/claude-code" && timeout 60 node install.cjs)

RUNLAYER_CLIENTS_DIR="$folder" timeout 120 vitest run --project clients
