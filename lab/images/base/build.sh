#!/usr/bin/env bash
# build.sh TAG MIRROR [SUITE]: Debian (trixie, or another suite) as small as it gets: the base of all other images of the lab. There is
# no registry to pull it from, so debootstrap makes it from the Debian mirror this machine itself uses.
set -euo pipefail
tag=$1 mirror=$2 suite=${3:-trixie}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 \
  || { tail -5 "$root.log" >&2; echo "debootstrap of $suite from $mirror failed; see $root.log" >&2; exit 1; }
rm -f "$root.log"
cat >"$root/etc/dpkg/dpkg.cfg.d/small" <<'CFG'
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/info/*
CFG
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/share/{doc,man,locale,info}/*
tar -C "$root" --numeric-owner -c . | docker import -c 'CMD ["/bin/bash"]' - "$tag" >/dev/null
