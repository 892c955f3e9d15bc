#!/bin/bash
# Starts the site's services and ends as soon as one of them does, so that a broken site is seen at once.
set -euo pipefail
: "${DEBIAN_MIRROR:?set DEBIAN_MIRROR to the upstream of the package mirror}"
printf '%s\n' "$DEBIAN_MIRROR" >/etc/lab/acng/upstream
mkdir -p /srv/registry /srv/apt /srv/apt-log
chown -R apt-cacher-ng /srv/apt /srv/apt-log
docker-registry serve /etc/lab/registry.yml &
nginx -c /etc/lab/nginx.conf &
setpriv --reuid apt-cacher-ng --regid apt-cacher-ng --clear-groups apt-cacher-ng -c /etc/lab/acng &
wait -n
