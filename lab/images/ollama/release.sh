#!/usr/bin/env bash
# release.sh IMAGE DIRECTORY: lays archives as Ollama releases them under DIRECTORY, made from the image's own files:
#
#   v0.9.3   the Ollama of the image
#   v0.9.4   the same with another number in it, for upgrades
#   v0.9.5   one that says its number, and does not start
set -euo pipefail
image=$1 out=$2 archive=ollama-linux-amd64.tar.zst
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/lib"
docker run --rm --entrypoint tar "$image" -C /usr/lib -c ollama x86_64-linux-gnu/libur_loader.so.0 | tar -x -C "$work/lib"
mv "$work"/lib/x86_64-linux-gnu/* "$work/lib/ollama/"
rmdir "$work/lib/x86_64-linux-gnu"

pack() { # pack VERSION
  mkdir -p "$out/v$1"
  tar --zstd -cf "$out/v$1/$archive" -C "$work" --owner 0 --group 0 bin lib
  (cd "$out/v$1" && sha256sum "./$archive" >sha256sum.txt)
}

# libsycl looks for its loader in the system's path, not beside itself.
cat >"$work/bin/ollama" <<'SH'
#!/bin/sh
lib=$(dirname "$(readlink -f "$0")")/../lib/ollama
export LD_LIBRARY_PATH="$lib"
exec "$lib/ollama" "$@"
SH
chmod 0755 "$work/bin/ollama"
pack 0.9.3
[ "$(grep -abo '0\.9\.3' "$work/lib/ollama/ollama" | wc -l)" = 1 ] || { echo "release.sh: the number is not in its one place" >&2; exit 1; }
sed -i 's/0\.9\.3/0.9.4/' "$work/lib/ollama/ollama"
pack 0.9.4
cat >"$work/bin/ollama" <<'SH'
#!/bin/sh
case ${1:-} in --version) echo "ollama version is 0.9.5" ;; *) echo "Error: this one does not start" >&2; exit 1 ;; esac
SH
rm "$work/lib/ollama/ollama"
pack 0.9.5
