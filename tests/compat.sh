#!/usr/bin/env bash
# The built tarball, installed outside the checkout, under each supported ansible-core: checked on three virgin hosts, one with a
# simulated GPU and one whose engine runs natively, provisioned, and run again with no change. The controller is a container with
# Python 3.13, which all of them run on, and has no ansible.cfg, so that the collection stands alone. Run through `make test-all`.
set -euo pipefail
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
cd "$top"
versions=(2.18.19 2.19.14 2.20.10 2.21.5)
network=172.30.90

work=$(mktemp -d)
trap '.venv/bin/ansible-playbook -i "$work/inventory" lab/destroy.yml >/dev/null 2>&1; rm -rf "$work"' EXIT
mkdir -p "$work/inventory" "$work/collections/ansible_collections/community"
cp -rL inventories/lab/group_vars "$work/inventory/"
cat >"$work/inventory/hosts.yml" <<END
llm_hosts:
  hosts:
    compat: {ansible_host: $network.31}
    compat-gpu: {ansible_host: $network.32, lab_gpu: true}
    compat-native: {ansible_host: $network.33, site_engine: native, llm_stack_services: [ollama]}
END
key=$(sed -n 's/^lab_ssh_key: //p' inventories/lab/group_vars/all/generated.yml)
image=$(sed -n 's/^lab_host_image: //p' inventories/lab/group_vars/all/generated.yml)

.venv/bin/ansible-galaxy collection build --force --output-path "$work/dist" >/dev/null
(cd "$work" && "$top/.venv/bin/ansible-galaxy" collection install dist/*.tar.gz -p "$work/collections" --no-deps --offline >/dev/null)
bundle=$(.venv/bin/python -c 'import ansible_collections; print(list(ansible_collections.__path__)[0])')
for name in docker general library_inventory_filtering_v1; do
  cp -r "$bundle/community/$name" "$work/collections/ansible_collections/community/"
done

play() { # play CORE PLAYBOOK OPTION...: runs an installed playbook
  local core=$1 playbook=$2
  shift 2
  docker run --rm --network local-llm-lab -v "$work/$core:/core:ro" -v "$work/collections:/collections:ro" -v "$work/inventory:/inventory:ro" \
    -v "$key:$key:ro" -e PYTHONPATH=/core -e ANSIBLE_COLLECTIONS_PATH=/collections -e ANSIBLE_NOCOLOR=1 -w /root "$image" \
    python3 -m ansible playbook -i /inventory "local_llm.fleet.$playbook" "$@" >"$work/log" 2>&1 \
    || { tail -n 30 "$work/log"; echo "compat: local_llm.fleet.$playbook $* failed under ansible-core $core" >&2; exit 1; }
}

for core in "${versions[@]}"; do
  started=$SECONDS
  .venv/bin/pip install -q --disable-pip-version-check --no-compile --target "$work/$core" --python-version 3.13 --ignore-requires-python --only-binary=:all: \
    --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform any "ansible-core==$core" jmespath 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
  .venv/bin/ansible-playbook -i "$work/inventory" lab/destroy.yml >/dev/null
  .venv/bin/ansible-playbook -i "$work/inventory" lab/create.yml >/dev/null
  play "$core" site --check
  play "$core" site
  [ "$(grep -c 'answered in' "$work/log")" = 3 ] || { cat "$work/log"; echo "compat: not three answers under ansible-core $core" >&2; exit 1; }
  play "$core" plan -e '{"model_plan_add": ["bge-m3"], "model_plan_num_parallel": "2"}'
  for plan in 'tinyllama@2k bge-m3' 'gpt-oss:20b@'; do
    grep -q "$plan" "$work/log" || { cat "$work/log"; echo "compat: no plan under ansible-core $core" >&2; exit 1; }
  done
  play "$core" site
  ! grep -E ' (changed|failed|unreachable)=[1-9]' "$work/log" || { tail -n 3 "$work/log"; echo "compat: the second run under ansible-core $core changed something" >&2; exit 1; }
  ! grep -iE 'deprecat' "$work/log" || { echo "compat: ansible-core $core warns of what it will drop" >&2; exit 1; }
  play "$core" rollout --check
  printf 'compat: ansible-core %s provisioned three virgin hosts from the tarball, in %d s\n' "$core" "$((SECONDS - started))"
done
echo "compat: ${#versions[@]} versions passed"
