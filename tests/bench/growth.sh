#!/usr/bin/env bash
# What a site.yml that has nothing to do costs over 1, 5 and 20 hosts that are engines and nothing else: seconds, and seconds of the
# control node's processors (its own processes and their children; the hosts of the lab are containers of the same machine, and not
# counted). Makes its hosts, and takes them away. Run through `make bench-growth`.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
top=$PWD
work=$(mktemp -d)
end() {
  .venv/bin/ansible-playbook -i "$work/inventory" lab/destroy.yml >/dev/null || true
  rm -rf "$work"
}
trap end EXIT
mkdir "$work/inventory"
ln -s "$top/inventories/lab/group_vars" "$work/inventory/group_vars"
{
  echo 'llm_hosts:'
  echo '  vars: {site_engine: native, llm_stack_services: [ollama]}'
  echo '  hosts:'
  for number in $(seq 101 120); do echo "    bench-$number: {ansible_host: 172.30.90.$number}"; done
} >"$work/inventory/hosts.yml"

play() {
  .venv/bin/ansible-playbook -i "$work/inventory" "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
}

measure() { # measure HOSTS: seconds and processor seconds of a run over so many hosts
  local limit TIMEFORMAT='%R %U %S'
  limit=$(seq -f 'bench-%.0f' -s , 101 "$((100 + $1))")
  { time play site.yml --limit "$limit"; } 2>"$work/time"
  [ "$(grep -c ' changed=0 ' "$work/log")" = "$1" ] || { echo 'bench: this run was no no-op' >&2; exit 1; }
  awk '{print $1, $2 + $3}' "$work/time"
}

play lab/create.yml
# Twenty engines that load a model at once on a small machine may keep one waiting too long: what failed is done again.
.venv/bin/ansible-playbook -i "$work/inventory" site.yml >"$work/log" 2>&1 || grep -A 6 '^fatal' "$work/log" >&2 || true
play site.yml
for hosts in 1 5 20; do
  read -r seconds cpu < <(measure "$hosts")
  echo "$hosts $seconds $cpu"
done | awk '
  NR == 1 { first = $3 }
  { printf "no-op of %2d engines: %5.1f s, %5.1f s of processors", $1, $2, $3
    if (NR > 1) printf ", %.2f s for each further host (ratio to the first: %.2f)", ($3 - first) / ($1 - 1), ($3 - first) / ($1 - 1) / first
    print "" }'
