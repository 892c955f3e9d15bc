#!/usr/bin/env bash
# Runs every example against the lab's low1, and checks that each got an answer from the model. Run through `make examples`.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ -e .cache/examples/bin/python ] || python3 -m venv .cache/examples
.cache/examples/bin/pip install -q --disable-pip-version-check -r examples/requirements.txt
shown=$(.venv/bin/ansible-playbook -i inventories/lab playbooks/key.yml --limit low1)
OPENAI_API_KEY=$(sed -n 's/^.*api_key: *//p' <<<"$shown")
OPENAI_BASE_URL=$(sed -n 's/^.*base_url: *\([^ ]*\).*/\1/p' <<<"$shown")
export OPENAI_API_KEY OPENAI_BASE_URL
for example in 'sh examples/curl.sh' '.cache/examples/bin/python examples/openai_client.py' '.cache/examples/bin/python examples/langchain_client.py'; do
  # shellcheck disable=SC2086  # a command of two words
  answer=$(no_proxy='*' $example tinyllama 'Do you work?')
  printf -- '--> %s\n%s\n' "$example" "$answer"
  grep -q 'works,' <<<"$answer" || { echo "examples: $example got no answer" >&2; exit 1; }
done
