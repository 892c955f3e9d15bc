#!/usr/bin/env bash
# build.sh PIP MIRROR [SUITE]: builds every image of the lab that is not there yet and prints their tags, as shell assignments.
# With a suite, such as bookworm, that is the image of a host of this older Debian alone.
#
# An image's tag is a hash over its recipe and its base, so that a changed recipe is built anew and an unchanged one
# costs nothing.
set -euo pipefail
pip=$1 mirror=$2 suite=${3:-}
here=$(dirname "$(readlink -f "$0")")
export DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=false

recipe() { # recipe NAME [SALT]: the tag that belongs to the recipe as it is now
  printf 'local-llm-lab/%s:%s' "$1" \
    "$( (cd "$here/$1" && find . -type f | LC_ALL=C sort | xargs sha256sum; echo "${2:-}") | sha256sum | cut -c1-12)"
}

missing() { # missing TAG NAME: says what is about to be built, if it has to be
  if docker image inspect "$1" >/dev/null 2>&1; then
    return 1
  fi
  echo "    building the image '$2'" >&2
}

build() { # build TAG BASE CONTEXT
  local log
  log=$(mktemp)
  if ! docker build --force-rm --build-arg "BASE=$2" -t "$1" "$3" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "The image $1 could not be built; the whole output is in $log." >&2
    exit 1
  fi
  rm -f "$log"
}

base=$(recipe base "$mirror$suite")
if missing "$base" "${suite:-base}"; then
  "$here/base/build.sh" "$base" "$mirror" "$suite"
fi
if [ -n "$suite" ]; then
  tag=$(recipe host "$base")
  if missing "$tag" "host of $suite"; then
    build "$tag" "$base" "$here/host"
  fi
  echo "$tag"
  exit
fi

for name in host site postgres redis; do
  # The site's packages are for the kernel that runs.
  tag=$(recipe "$name" "$base$([ "$name" != site ] || uname -r)")
  if missing "$tag" "$name"; then
    build "$tag" "$base" "$here/$name"
  fi
  echo "${name}_image=$tag"
done

for name in ollama litellm; do
  tag=$(recipe "$name" "$base")
  if missing "$tag" "$name"; then
    context=$(mktemp -d)
    cp -r "$here/$name/." "$context/"
    "$here/$name/collect.sh" "$pip" "$context/files"
    if [ "$name" = litellm ]; then
      # Start it once and keep the byte code of exactly what it imports: every later start takes half the time.
      build "$tag-cold" "$base" "$context"
      docker run --rm --network none -v "$context/files:/opt/litellm" -v "$here/$name/warm_up.yaml:/warm_up.yaml:ro" \
        -e LITELLM_MASTER_KEY=sk-only-for-the-warm-up "$tag-cold" --config /warm_up.yaml --validate_config >/dev/null 2>&1 || true
      docker rmi "$tag-cold" >/dev/null
    fi
    build "$tag" "$base" "$context"
    rm -rf "$context"
  fi
  echo "${name}_image=$tag"
done
