#!/usr/bin/env bash
# Seconds of a site.yml that has nothing to do, beside what a person would type for the same on the host itself: bring the
# project up, pull the models that are there, ask one question. Both against low1 of the lab (and site.yml against high1), in turns, because machines
# are noisy: compare the ratio, not the seconds. Run through `make bench`. With PEER=COMMAND a third takes its turns: another
# project's playbook that does the same, as in PEER='.venv/bin/ansible-playbook -i ~/peer/inventory ~/peer/site.yml'.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
rounds=${ROUNDS:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

site() {
  .venv/bin/ansible-playbook -i inventories/lab site.yml --limit "${1:-low1}" >"$work/log" || { tail -n 20 "$work/log" >&2; exit 1; }
  grep -q 'changed=0 ' "$work/log" || { echo 'bench: this run was no no-op; run make lab first' >&2; exit 1; }
}

with_gpu() {
  site high1
}

peer() {
  bash -c "$PEER" >"$work/peer.log" 2>&1 || { tail -n 20 "$work/peer.log" >&2; exit 1; }
}

by_hand() { # one SSH login, like a person's
  local ssh
  ssh=$(.venv/bin/ansible-inventory -i inventories/lab --host low1 \
    | .venv/bin/python -c 'import json, sys; h = json.load(sys.stdin); print("-i", h["lab_ssh_key"], h["ansible_ssh_common_args"], "ops@" + h["ansible_host"])')
  # shellcheck disable=SC2086  # options and address, word by word
  ssh $ssh sudo bash -s >/dev/null 2>&1 <<'HOST'
set -e
cd /opt/local_llm
docker compose up -d --wait
for model in $(python3 -c 'import json; print(*(m["name"] for m in json.load(open("plan.json"))["models"]))'); do
  docker exec ollama ollama pull --insecure "site.lab:5000/library/$model"
  docker exec ollama ollama rm "site.lab:5000/library/$model"
done
python3 - <<'PYTHON'
import json, urllib.request
key = dict(line.rstrip().split("=", 1) for line in open(".env"))["LITELLM_MASTER_KEY"]
body = json.dumps({"model": "tinyllama", "messages": [{"role": "user", "content": "Do you work?"}]}).encode()
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:4444/v1/chat/completions", body, headers), timeout=60).read()
PYTHON
HOST
}

seconds() { # seconds COMMAND: how long it took, in milliseconds
  local started
  started=$(date +%s%N)
  "$1"
  echo $((($(date +%s%N) - started) / 1000000))
}

median() {
  sort -n "$1" | sed -n "$(((rounds + 1) / 2))p"
}

site # warms all
with_gpu
[ -z "${PEER:-}" ] || peer
for _ in $(seq "$rounds"); do
  seconds site >>"$work/site"
  seconds by_hand >>"$work/hand"
  seconds with_gpu >>"$work/gpu"
  [ -z "${PEER:-}" ] || seconds peer >>"$work/peer"
done
site
tasks=$(sed -n 's/.*ok=\([0-9]*\).*skipped=\([0-9]*\).*/\1 \2/p' "$work/log" | awk '{print $1 + $2}')
site_ms=$(median "$work/site")
hand_ms=$(median "$work/hand")
awk -v site="$site_ms" -v hand="$hand_ms" -v tasks="$tasks" -v rounds="$rounds" 'BEGIN {
  printf "no-op of one host, median of %d: site.yml %.1f s (%d tasks), by hand %.1f s, ratio %.1f\n", rounds, site / 1000, tasks, hand / 1000, site / hand }'
awk -v site="$site_ms" -v gpu="$(median "$work/gpu")" 'BEGIN { printf "the same of a host with a GPU %.1f s, ratio %.2f\n", gpu / 1000, gpu / site }'
if [ -n "${PEER:-}" ]; then
  awk -v site="$site_ms" -v peer="$(median "$work/peer")" 'BEGIN { printf "the peer %.1f s, ratio of site.yml to it %.1f\n", peer / 1000, site / peer }'
  sed -n '/^PLAY RECAP/,$p' "$work/peer.log" | tail -n +2
fi
