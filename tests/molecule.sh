#!/usr/bin/env bash
# Runs scenarios of molecule: those that are named, one after the other. Without a name plan, and then a host of each tier side by side,
# because either waits for its services most of the time. Run through `make molecule`.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
scenario() { .venv/bin/molecule test --no-command-borders -s "$1"; }

if [ $# -gt 0 ]; then
  for name in "$@"; do scenario "$name"; done
  exit
fi
scenario plan
log=$(mktemp)
trap 'kill "$high" 2>/dev/null || true; rm -f "$log"' EXIT
scenario high_spec >"$log" 2>&1 &
high=$!
failed=0
scenario low_spec || failed=1
wait "$high" || failed=1
cat "$log"
exit "$failed"
