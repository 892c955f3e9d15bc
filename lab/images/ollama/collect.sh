#!/usr/bin/env bash
# collect.sh PIP DIRECTORY: lays the files of the Ollama image out under DIRECTORY.
set -euo pipefail
pip=$1 out=$2 here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Downloaded and unpacked rather than installed: pip leaves the shared libraries of these wheels out of a --target.
"$pip" download -q --no-deps -d "$work" -r "$here/requirements.txt"
for wheel in "$work"/*.whl; do
  python3 -m zipfile -e "$wheel" "$work/wheels"
done
lib=$out/usr/lib/ollama
mkdir -p "$lib" "$out/usr/lib/x86_64-linux-gnu" "$out/usr/bin"
cp "$work"/wheels/bigdl/cpp/libs/ollama/* "$lib/"
chmod 0755 "$lib"/*
mv "$lib/ollama-lib" "$lib/ollama"
for name in libsvml.so libimf.so libsycl.so.8 libiomp5.so libirng.so libintlc.so.5; do
  cp -L "$(find "$work/wheels" -name "$name" | head -n 1)" "$lib/$name"
done
# libsycl looks for this one in the system's path, not beside itself.
cp -L "$(find "$work/wheels" -name libur_loader.so.0 | head -n 1)" "$out/usr/lib/x86_64-linux-gnu/"
rm -f "$lib"/libggml-sycl.so*
cc -shared -fPIC -o "$lib/libggml-sycl.so" "$here/cpu_shim.c"
strip -s "$lib"/* "$out"/usr/lib/x86_64-linux-gnu/* 2>/dev/null || true
ln -sf ../lib/ollama/ollama "$out/usr/bin/ollama"
