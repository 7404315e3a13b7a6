#!/usr/bin/env bash
# Installs what the end-to-end tests need: Redis, Sentinel and libfaketime (Debian's packages), and the official SDKs, pinned: a Python
# venv in .tools/ and node_modules in node/. Does nothing when they are there and the pins have not changed.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .tools

if ! command -v redis-server >/dev/null || ! command -v redis-sentinel >/dev/null || ! command -v redis-cli >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "redis-server, redis-sentinel and redis-cli are needed on the PATH" >&2
    exit 1
  fi
  root=$([ "$(id -u)" = 0 ] || echo sudo)
  # The packages would start servers of their own, on the usual ports.
  $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server redis-sentinel redis-tools ||
    { $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server redis-sentinel redis-tools; }
fi

if ! compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "libfaketime is needed" >&2
    exit 1
  fi
  root=$([ "$(id -u)" = 0 ] || echo sudo)
  $root apt-get install -y -qq --no-install-recommends libfaketime ||
    { $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends libfaketime; }
fi

pins() { cat python/requirements.txt node/package-lock.json | sha256sum | cut -d' ' -f1; }
if [ "$(cat .tools/installed 2>/dev/null || true)" = "$(pins)" ] && [ -x .tools/venv/bin/python ] && [ -d node/node_modules ]; then
  exit 0
fi
rm -rf .tools/venv .tools/installed
python3 -m venv .tools/venv
.tools/venv/bin/pip install --quiet --disable-pip-version-check --requirement python/requirements.txt
(cd node && npm ci --silent)
pins >.tools/installed
