#!/usr/bin/env bash
# Megabytes a second of a pull of 306 MB through ollama_model, beside curl of the same blob from the same nginx, in turns.
# The pull ends with the engine's check of the checksum, which curl does not make. Needs the scenario `models`
# (molecule create -s models).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
rounds=${ROUNDS:-3}
mirror=172.30.92.2:5000 engine=http://172.30.92.3:11434
docker inspect models-engine >/dev/null 2>&1 || { echo 'bench: run molecule create -s models first' >&2; exit 1; }

blob=$(curl -sf -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://$mirror/v2/library/large/manifests/latest" \
  | .venv/bin/python -c 'import json, sys; print(max(json.load(sys.stdin)["layers"], key=lambda layer: layer["size"])["digest"])')

module() { # module STATE: seconds that the module says the pull took
  .venv/bin/ansible -i molecule/models/inventory engine -m local_llm.fleet.ollama_model -a \
    "{\"url\": \"$engine\", \"mirror\": \"$mirror\", \"mirror_insecure\": true, \"state\": \"$1\", \"models\": [{\"name\": \"large\"}]}" \
    | sed -n 's/.*seconds"*: *\([0-9.]*\).*/\1/p' | tail -n 1
}

for _ in $(seq "$rounds"); do
  module absent >/dev/null
  module present
  curl -s -o /dev/null -w '%{time_total}\n' "http://$mirror/v2/library/large/blobs/$blob"
done | .venv/bin/python -c '
import statistics, sys
times = [float(line) for line in sys.stdin]
pull, curl = statistics.median(times[0::2]), statistics.median(times[1::2])
print(f"306 MB, median of {len(times) // 2}: pull {306 / pull:.0f} MB/s, curl {306 / curl:.0f} MB/s, ratio {curl / pull:.2f}")'
