#!/usr/bin/env bash
# The practice site: what a company with a closed network has, on this one machine. See lab/README.md.
#
#   lab.sh up          all of it: services, hosts, site.yml over inventories/lab, a question
#   lab.sh services    images, network, registry, model mirror, package mirror, models
#   lab.sh hosts       the hosts of inventories/lab, fresh where they are not there yet
#   lab.sh wheels      LiteLLM's packages, for hosts that run it without Docker
#   lab.sh older       the image of a Debian 12 host, for hosts with an older Docker
#   lab.sh shell HOST  a shell on a host
#   lab.sh down        away with hosts, services and network; images and downloads stay
#   lab.sh clean       those too
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
top=$(dirname "$here")
venv=$top/.venv/bin
state=${LAB_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}}/local-llm-lab
network=local-llm-lab
bridge=llm-lab0
subnet=172.30.90
site=local-llm-lab-site
push=127.0.0.1:5990  # where this machine reaches the site's registry; the hosts know it as site.lab:5000
needed_gb=8

die() {
  printf 'lab: %s\n' "$*" >&2
  exit 1
}

step() { # step TEXT COMMAND...: says what is done and how long it took
  local text=$1 started=$SECONDS
  shift
  printf -- '--> %s\n' "$text"
  "$@"
  printf '    %d s\n' "$((SECONDS - started))"
}

check_machine() {
  [ "$(id -u)" = 0 ] || die "needs root, for Docker and for the lab's network: run it with sudo."
  [ "$(uname -m)" = x86_64 ] || die "needs an x86_64 machine: the lab's Ollama is built for no other (this is $(uname -m))."
  command -v apt-get >/dev/null || die "needs Debian or Ubuntu: it installs what it uses with apt-get."
  local free
  free=$(df --output=avail -BG / | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$needed_gb" ] || die "needs $needed_gb GB of disk, / has $free GB left."
  local missing=() command
  for command in dockerd:docker.io iptables:iptables debootstrap:debootstrap ssh:openssh-client cc:gcc strip:binutils curl:curl ss:iproute2 \
    zstd:zstd plistutil:libplist-utils; do
    command -v "${command%%:*}" >/dev/null || missing+=("${command#*:}")
  done
  # The library headers are no part of a bare gcc.
  [ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
  if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}"
  fi
  # Debian 13 has the client in a package of its own, Debian 12 in docker.io.
  command -v docker >/dev/null || install_packages docker-cli
  start_docker
  # The systemd of every host takes several of these; some twenty hosts would use up the kernel's 128.
  [ "$(cat /proc/sys/fs/inotify/max_user_instances)" -ge 1024 ] || sysctl -q fs.inotify.max_user_instances=1024 || true
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || true
  grep -qw overlay /proc/filesystems || die "the kernel lacks overlayfs, which the hosts' own Docker needs."
}

install_packages() {
  local log
  log=$(mktemp)
  echo "    installing $*"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; } >"$log" 2>&1 \
    || { tail -n 5 "$log" >&2; die "could not install $*; the whole output is in $log."; }
  rm -f "$log"
}

start_docker() {
  if docker info >/dev/null 2>&1; then
    return
  fi
  if [ -d /run/systemd/system ]; then
    systemctl start docker
  else
    setsid --fork dockerd >/var/log/dockerd.log 2>&1 </dev/null
  fi
  local _
  for _ in $(seq 60); do
    if docker info >/dev/null 2>&1; then
      return
    fi
    sleep 0.5
  done
  die "Docker does not start: see 'journalctl -u docker' or /var/log/dockerd.log."
}

debian_mirror() { # the Debian mirror this machine itself uses
  local mirror=${LAB_DEBIAN_MIRROR:-}
  if [ -z "$mirror" ]; then
    # Nothing is listed before the first `apt-get update`.
    mirror=$(apt_targets)
    [ -n "$mirror" ] || { apt-get update -q >/dev/null 2>&1 && mirror=$(apt_targets); } || true
  fi
  [ -n "$mirror" ] || die "finds no Debian mirror in this machine's apt sources: set LAB_DEBIAN_MIRROR=http://..."
  printf '%s\n' "${mirror%/}"
}

apt_targets() {
  # shellcheck disable=SC2016  # apt-get's own names
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian Debian main //p' | sed -n 1p
}

registries_answer() { # true where the public image registries can be reached
  local url code
  for url in https://registry-1.docker.io/v2/ https://ghcr.io/v2/; do
    code=$(curl -s -m 5 -o /dev/null -w '%{http_code}' "$url" || true)
    case $code in 200 | 401) ;; *) return 1 ;; esac
  done
}

build_images() {
  mirror=$(debian_mirror)
  "$here/images/build.sh" "$venv/pip" "$mirror" >"$state/images.new"
  mv "$state/images.new" "$state/images"
}

start_site() {
  # shellcheck source=/dev/null
  . "$state/images"
  docker network inspect "$network" >/dev/null 2>&1 || docker network create --internal --subnet "$subnet.0/24" --gateway "$subnet.1" \
    -o "com.docker.network.bridge.name=$bridge" "$network" >/dev/null
  # An internal network still lets its members reach this machine's own addresses. A closed site does not.
  iptables -C INPUT -i "$bridge" -m conntrack --ctstate NEW -j DROP 2>/dev/null || iptables -I INPUT -i "$bridge" -m conntrack --ctstate NEW -j DROP
  # shellcheck disable=SC2154  # comes from the file above
  if [ "$(docker inspect -f '{{.Config.Image}} {{.State.Running}}' "$site" 2>/dev/null)" != "$site_image true" ]; then
    docker rm -f "$site" >/dev/null 2>&1 || true
    docker run -d --name "$site" --hostname site --restart unless-stopped --sysctl net.ipv4.ip_forward=0 \
      -e "DEBIAN_MIRROR=$mirror" -v "$site:/srv" -p "$push:5000" "$site_image" >/dev/null
    docker network connect --ip "$subnet.2" --alias site.lab "$network" "$site"
  fi
  local _
  for _ in $(seq 60); do
    if curl -sf -o /dev/null "http://$push/v2/"; then
      return
    fi
    sleep 0.5
  done
  docker logs "$site" 2>&1 | tail -n 5 >&2
  die "the site's registry does not answer: its last lines are above."
}

publish() { # publish IMAGE NAME: puts a local image into the site's registry as NAME
  if curl -sf -o /dev/null -I -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://$push/v2/${2%:*}/manifests/${2##*:}" \
    && [ "$(cat "$state/published/${2//\//_}" 2>/dev/null)" = "$1" ]; then
    return
  fi
  echo "    $2"
  docker tag "$1" "$push/$2"
  docker push -q "$push/$2" >/dev/null
  docker rmi "$push/$2" >/dev/null
  mkdir -p "$state/published"
  echo "$1" >"$state/published/${2//\//_}"
}

pin() { # pin VARIABLE: the image that the role llm_stack uses by default, without its digest
  sed -n "s/^$1: *//p" "$top/roles/llm_stack/defaults/main.yml" | tr -d "\"'" | cut -d@ -f1
}

publish_images() {
  # shellcheck source=/dev/null
  . "$state/images"
  local ollama_name litellm_name db_name redis_name
  if registries_answer; then
    echo "    the public registries answer: taking the real images"
    ollama_name=$(pin llm_stack_ollama_image) litellm_name=$(pin llm_stack_litellm_image) db_name=$(pin llm_stack_db_image)
    redis_name=$(pin llm_stack_redis_image)
    local image
    for image in "$ollama_name" "$litellm_name" "$db_name" "$redis_name"; do
      docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" >/dev/null
    done
    publish "$ollama_name" "$ollama_name"
    publish "$litellm_name" "${litellm_name#*/}"
    publish "$db_name" "library/$db_name"
    publish "$redis_name" "library/$redis_name"
    floor=$(sed -n 's/^site_ollama_floor: *//p' "$top/roles/site/defaults/main.yml" | tr -d "\"'")
  else
    ollama_name=ollama/ollama:0.9.3 litellm_name=ghcr.io/berriai/litellm:v1.106.2 db_name=postgres:17 redis_name=redis:8
    # shellcheck disable=SC2154
    publish "$ollama_image" "$ollama_name"
    # shellcheck disable=SC2154
    publish "$litellm_image" "${litellm_name#*/}"
    # shellcheck disable=SC2154
    publish "$postgres_image" "library/$db_name"
    # shellcheck disable=SC2154
    publish "$redis_image" "library/$redis_name"
    floor=0.9.3
  fi
  # shellcheck disable=SC2154
  cat >"$state/generated.yml" <<YAML
---
# Written by lab/lab.sh: what this machine could get, and where it keeps it.
lab_host_image: $host_image
lab_ssh_key: $state/id_ed25519
llm_stack_ollama_image: $ollama_name
llm_stack_litellm_image: site.lab:5000/${litellm_name#*/}
llm_stack_db_image: $db_name
llm_stack_redis_image: $redis_name
site_ollama_floor: "$floor"
YAML
}

# Ollama's releases are made from the lab's own Ollama, also where the registries answer: the tests need versions that fail.
publish_archives() {
  if ! docker exec "$site" test -e /srv/ollama/v0.9.5/sha256sum.txt; then
    # shellcheck source=/dev/null
    . "$state/images"
    rm -rf "$state/archives"
    "$here/images/ollama/release.sh" "$ollama_image" "$state/archives"
    docker exec "$site" mkdir -p /srv/ollama
    docker cp -q "$state/archives/." "$site:/srv/ollama/"
  fi
  {
    echo 'ollama_native_version: 0.9.3'
    echo 'ollama_native_url: "http://site.lab/ollama/v{{ ollama_native_version }}"'
    printf 'ollama_native_checksums: {ollama-linux-amd64.tar.zst: %s}\n' \
      "$(docker exec "$site" cut -c1-64 /srv/ollama/v0.9.3/sha256sum.txt)"
    echo 'litellm_native_version: 1.106.2'
    echo 'litellm_native_index_url: http://site.lab/pypi'
  } >>"$state/generated.yml"
  install -m 0644 "$state/generated.yml" "$top/inventories/lab/group_vars/all/generated.yml"
}

# LiteLLM for hosts without Docker: wheels of two versions, as an index that the site serves. The later one is the newest that
# installs here. 200 MB, so only those who need them fetch them.
wheels() {
  local version newest=1.106.2
  if ! docker exec "$site" test -e "/srv/pypi/$newest"; then
    rm -rf "$state/wheels"
    mkdir -p "$state/wheels"
    for version in "$(sed -n 's/^litellm_native_version: *//p' "$top/roles/litellm_native/defaults/main.yml")" "$newest"; do
      "$venv/pip" download -q --disable-pip-version-check --dest "$state/wheels" "litellm[proxy]==$version" prisma==0.15.0 --python-version 3.13 \
        --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform any --only-binary=:all:
    done
    "$venv/python" "$here/make_index.py" "$state/wheels"
    docker exec "$site" mkdir -p /srv/pypi
    docker cp -q "$state/wheels/." "$site:/srv/pypi/"
    docker exec "$site" touch "/srv/pypi/$newest"
    rm -rf "$state/wheels"
  fi
}

# A host of Debian 12, whose Docker is 20.10. Its name goes where the other images' are named.
older() {
  local image
  mirror=$(debian_mirror)
  image=$("$here/images/build.sh" "$venv/pip" "$mirror" bookworm)
  sed -i '/^lab_host_bookworm_image:/d' "$state/generated.yml"
  echo "lab_host_bookworm_image: $image" >>"$state/generated.yml"
  install -m 0644 "$state/generated.yml" "$top/inventories/lab/group_vars/all/generated.yml"
}

publish_models() {
  local name missing=()
  for name in tinyllama:latest gpt-oss:20b bge-m3:latest; do
    curl -sf -o /dev/null -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
      "http://$push/v2/library/${name%:*}/manifests/${name#*:}" || missing+=("$name")
  done
  if [ ${#missing[@]} = 0 ]; then
    return
  fi
  # shellcheck source=/dev/null
  . "$state/images"
  rm -rf "$state/models"
  mkdir -p "$state/models"
  docker rm -f "$site-models" >/dev/null 2>&1 || true
  # shellcheck disable=SC2154
  docker run -d --rm --name "$site-models" --network "$network" -v "$state/models:/models:ro" -w /models "$ollama_image" >/dev/null
  for name in "${missing[@]}"; do
    echo "    $name"
    "$venv/python" "$here/make_model.py" "$state/models/model.gguf" "${name%:latest}" answers: every part of this chain works, from question to model.
    printf 'FROM ./model.gguf\nTEMPLATE "{{ .Prompt }}"\nPARAMETER temperature 0\n' >"$state/models/Modelfile"
    local log
    log=$(docker exec "$site-models" sh -c "
      tries=0; until ollama list >/dev/null 2>&1; do tries=\$((tries + 1)); [ \$tries -lt 300 ] || exit 1; sleep 0.2; done
      ollama create '$name' -f Modelfile && ollama cp '$name' 'site.lab:5000/library/$name' && ollama push --insecure 'site.lab:5000/library/$name'" 2>&1) \
      || { docker stop "$site-models" >/dev/null; die "the model $name could not be put into the mirror: $(tail -n 1 <<<"$log")"; }
  done
  docker stop "$site-models" >/dev/null
  rm -rf "$state/models"
}

services() {
  printf 'The practice site; what it keeps is in %s and in Docker.\n' "$state"
  mkdir -p "$state"
  step "this machine: root, disk, packages, Docker" check_machine
  [ -e "$state/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C local-llm-lab -f "$state/id_ed25519"
  step "images: built where they are not there yet (5 minutes the first time)" build_images
  step "site services: registry, model mirror, package mirror" start_site
  step "images into the site's registry" publish_images
  step "archives of Ollama" publish_archives
  step "models into the site's mirror" publish_models
}

hosts() {
  step "hosts: $(cd "$top" && "$venv/ansible-inventory" -i inventories/lab --graph llm_hosts | sed -n 's/.*|--//p' | grep -v '^@' | xargs)" \
    env -C "$top" "$venv/ansible-playbook" -i inventories/lab lab/create.yml
}

up() {
  services
  hosts
  cd "$top"
  step "site.yml over inventories/lab" "$venv/ansible-playbook" -i inventories/lab site.yml
  step "one more question to each tier" "$venv/ansible-playbook" -i inventories/lab playbooks/ask.yml
  cat <<TEXT

All of it took $SECONDS s. The sentences above came from the models, through each host's gateway: from low1, which has no GPU, and from
high1, whose card is simulated. The lab's models are toys that know one sentence; engines, gateways and databases are real.

  ask again             make ask INVENTORY=inventories/lab HOST=high1 Q='What is a rack?'
  address and key       make key INVENTORY=inventories/lab HOST=low1
  a shell on the host   make lab-shell HOST=low1
  away with it          make lab-down
TEXT
}

down() {
  docker info >/dev/null 2>&1 || die "Docker does not run, so nothing of the lab does."
  local container
  for container in $(docker network inspect -f '{{range .Containers}}{{.Name}} {{end}}' "$network" 2>/dev/null) \
    $(docker ps -aq --filter label=local-llm-lab); do
    docker rm -fv "$container" >/dev/null 2>&1 || true
  done
  docker rm -f "$site" >/dev/null 2>&1 || true
  docker network rm "$network" >/dev/null 2>&1 || true
  iptables -D INPUT -i "$bridge" -m conntrack --ctstate NEW -j DROP 2>/dev/null || true
  echo "The lab's hosts, services and network are gone; its images and downloads stay ('make clean' takes them too)."
}

clean() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    down >/dev/null
    docker volume rm -f "$site" >/dev/null
    docker images --format '{{.Repository}}:{{.Tag}}' 'local-llm-lab/*' | xargs -r docker rmi >/dev/null
  fi
  rm -rf "$state"
  echo "The lab is gone, with its images and downloads. Docker itself stays."
}

shell() {
  [ -n "${1:-}" ] || die "which host? make lab-shell HOST=low1"
  docker inspect "$1" >/dev/null 2>&1 || die "there is no host '$1' in the lab; 'make lab' makes those of inventories/lab."
  exec docker exec -it "$1" su - ops
}

case ${1:-} in
  up | services | hosts | wheels | older | down | clean) "$1" ;;
  shell) shell "${2:-}" ;;
  *) die "usage: lab.sh up | services | hosts | wheels | older | shell HOST | down | clean" ;;
esac
