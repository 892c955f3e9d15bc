#!/usr/bin/env bash
# Style, documentation and sanity, in the order of their speed. Run through `make lint`.
#   lint.sh units   the unit tests as ansible-test runs them
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

step() {
  local started=$SECONDS
  printf -- '--> %s\n' "$*"
  "$@"
  printf '    %d s\n' "$((SECONDS - started))"
}

# ansible-test wants the collection at a path that ends in ansible_collections/NAMESPACE/NAME, and no link on the way.
ansible_test() (
  name=$1 cache=~/.ansible/test/cache
  shift
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/ansible_collections/local_llm/fleet" "$cache"
  git ls-files -z --cached --others --exclude-standard -- . ':!collections' ':!lab' ':!molecule' \
    | xargs -0 tar -c --ignore-failed-read 2>/dev/null | tar -xC "$work/ansible_collections/local_llm/fleet"
  # ansible-test downloads get-pip.py from a server of its own; everything else comes from PyPI.
  [ -e "$cache/get_pip_24_2.py" ] || cp tests/get_pip.py "$cache/get_pip_24_2.py"
  python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  (cd "$work/ansible_collections/local_llm/fleet" && PIP_QUIET=1 ansible-test "$name" --requirements --python "$python" --color no "$@")
)

# In the distribution only, not on PyPI.
if ! command -v shellcheck >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends shellcheck; } >/dev/null 2>&1 || true
fi
if command -v shellcheck >/dev/null; then
  step shellcheck lab/*.sh lab/images/*.sh lab/images/*/*.sh lab/images/site/nvidia/{build.sh,load-driver,nvidia-*i,nvidia-ctk,nvidia-container-runtime} tests/*.sh tests/bench/*.sh examples/*.sh .ci/run
else
  echo '--> shellcheck is not installed: scripts are not checked'
fi
if [ "${1:-}" = units ]; then
  # `make unit` has them all, and those of whole roles; this shows that they run where ansible-test runs them, each a process of its own.
  step ansible_test units tests/unit/plugins/
  exit
fi

step yamllint --strict .
step ruff check --quiet .
step ruff format --check --quiet .
step mypy
step antsibull-changelog lint
step antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=dependent .
# The two that take minutes, side by side.
log=$(mktemp)
trap 'kill "$sanity" 2>/dev/null || true; rm -f "$log"' EXIT
step ansible_test sanity >"$log" 2>&1 &
sanity=$!
step ansible-lint -q --nocolor
wait "$sanity" || { cat "$log"; exit 1; }
cat "$log"
