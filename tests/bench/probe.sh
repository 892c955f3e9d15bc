#!/usr/bin/env bash
# Milliseconds that gpu_info takes on a host without any vendor's tool, so that none of it is a tool's, beside Ansible's own
# module ping, which does nothing but start Python and what every module needs: the difference is the module's own. Both on
# low1 of the lab, in turns, because machines are noisy. Fails where its own is above 150 ms. Run through `make bench`.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
rounds=${ROUNDS:-25}
limit_ms=150

on_host() {
  local ssh
  ssh=$(.venv/bin/ansible-inventory -i inventories/lab --host low1 \
    | .venv/bin/python -c 'import json, sys; h = json.load(sys.stdin); print("-i", h["lab_ssh_key"], h["ansible_ssh_common_args"], "ops@" + h["ansible_host"])')
  # shellcheck disable=SC2029,SC2086  # options and address, word by word; what is run there is given here
  ssh $ssh "$@"
}

# The modules as Ansible sends them.
export ANSIBLE_KEEP_REMOTE_FILES=1 ANSIBLE_REMOTE_TMP=/tmp/bench ANSIBLE_PIPELINING=false
on_host rm -rf /tmp/bench
for module in local_llm.fleet.gpu_info ansible.builtin.ping; do
  .venv/bin/ansible -i inventories/lab low1 -m "$module" >/dev/null
done
on_host python3 - "$rounds" "$limit_ms" <<'PYTHON'
import glob, statistics, subprocess, sys, time
rounds, limit = map(int, sys.argv[1:])
taken = {"gpu_info": [], "ping": []}
for _ in range(rounds + 1):
    for name, times in taken.items():
        (path,) = glob.glob(f"/tmp/bench/*/AnsiballZ_{name}.py")
        started = time.monotonic()
        subprocess.run([sys.executable, path], stdout=subprocess.DEVNULL, check=True)
        times.append((time.monotonic() - started) * 1000)
reading, nothing = (statistics.median(times[1:]) for times in taken.values())  # the first run warms the caches
own = reading - nothing
print(f"one module call, median of {rounds}: gpu_info {reading:.0f} ms, ping {nothing:.0f} ms, so its own {own:.0f} ms, ratio {reading / nothing:.2f}")
sys.exit(own > limit and f"bench: gpu_info takes more than {limit} ms of its own")
PYTHON
on_host rm -rf /tmp/bench
