#!/usr/bin/env bash
# Installs the official SDKs, pinned, for the end-to-end tests: a Python venv in .tools/ and node_modules in node/.
# Does nothing when they are there and the pins have not changed.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .tools

pins() { cat python/requirements.txt node/package-lock.json | sha256sum | cut -d' ' -f1; }
if [ "$(cat .tools/installed 2>/dev/null || true)" = "$(pins)" ] && [ -x .tools/venv/bin/python ] && [ -d node/node_modules ]; then
  exit 0
fi
rm -rf .tools/venv .tools/installed
python3 -m venv .tools/venv
.tools/venv/bin/pip install --quiet --disable-pip-version-check --requirement python/requirements.txt
(cd node && npm ci --silent)
pins >.tools/installed
