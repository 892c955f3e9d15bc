#!/bin/bash
# build.sh FOLDER: makes what stands in for NVIDIA's two package repositories, with packages that stand in for its driver and container
# toolkit: the names, versions, files, services and dependencies that the roles deal with, and recorded output in place of a GPU.
# lab/README.md says what they cannot show.
set -euo pipefail
out=$1
here=$(dirname "$(readlink -f "$0")")
driver=595.71.05
architecture=$(dpkg --print-architecture)
library=/usr/lib/x86_64-linux-gnu
cuda=$out/cuda/repos/debian13/x86_64
toolkit=$out/libnvidia-container/stable/deb/$architecture
work=$(mktemp -d)
mkdir -p "$cuda" "$toolkit"

package() { # package REPOSITORY NAME VERSION DEPENDS: packs the folder $work/NAME, whose DEBIAN/ may hold scripts already
  local root=$work/$2
  mkdir -p "$root/DEBIAN"
  {
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: local_llm.fleet practice site\n' "$2" "$3" "$architecture"
    [ -z "$4" ] || printf 'Depends: %s\n' "$4"
    printf 'Description: stands in for %s on hosts of the practice site\n' "$2"
  } >"$root/DEBIAN/control"
  dpkg-deb --root-owner-group -Zxz --build "$root" "$1/$2_$3_$architecture.deb" >/dev/null
  rm -rf "$root"
}

put() { # put PACKAGE PATH [MODE]: a file of this folder by its name into a package
  install -D -m "${3:-0644}" "$here/$(basename "$2")" "$work/$1$2"
  sed -i "s/@DRIVER@/$driver/g" "$work/$1$2"
}

script() { # script PACKAGE NAME: a maintainer script from standard input
  mkdir -p "$work/$1/DEBIAN"
  { printf '#!/bin/sh\nset -e\n'; cat; } >"$work/$1/DEBIAN/$2"
  chmod 0755 "$work/$1/DEBIAN/$2"
}

# --- the driver ---
mkdir -p "$work/nvidia-driver-pinning-595/etc/apt/preferences.d"
printf 'Package: *nvidia*\nPin: version %s*\nPin-Priority: 1000\n' "${driver%%.*}" >"$work/nvidia-driver-pinning-595/etc/apt/preferences.d/nvidia-driver-pin"
package "$cuda" nvidia-driver-pinning-595 "$driver-1" ''

# A module that modinfo reads and no kernel loads: nothing but what a real one says about itself.
for module in nvidia nvidia-uvm; do
  folder=$work/nvidia-kernel-open-dkms/usr/src/nvidia-$driver
  mkdir -p "$folder"
  printf '.section .modinfo,"a"\n.string "license=Dual MIT/GPL"\n.string "version=%s"\n.string "name=%s"\n' "$driver" "${module//-/_}" \
    | as -o "$folder/$module.ko" -
done
put nvidia-kernel-open-dkms /usr/lib/nvidia/load-driver 0755
put nvidia-kernel-open-dkms /usr/lib/systemd/system/nvidia-load-driver.service
script nvidia-kernel-open-dkms postinst <<SH
folder=/lib/modules/\$(uname -r)/updates/dkms
mkdir -p "\$folder"
cp /usr/src/nvidia-$driver/*.ko "\$folder/"
depmod "\$(uname -r)" 2>/dev/null
systemctl enable -q nvidia-load-driver.service
SH
script nvidia-kernel-open-dkms prerm <<'SH'
rm -f /lib/modules/*/updates/dkms/nvidia*.ko
systemctl disable -q nvidia-load-driver.service || true
depmod "$(uname -r)" 2>/dev/null
SH
package "$cuda" nvidia-kernel-open-dkms "$driver-1" kmod

put nvidia-driver-cuda /usr/bin/nvidia-smi 0755
mkdir -p "$work/nvidia-driver-cuda$library"
echo "stands in for a library" >"$work/nvidia-driver-cuda$library/libnvidia-ml.so.$driver"
ln -s "libnvidia-ml.so.$driver" "$work/nvidia-driver-cuda$library/libnvidia-ml.so.1"
package "$cuda" nvidia-driver-cuda "$driver-1" "nvidia-kernel-open-dkms (= $driver-1)"

put nvidia-persistenced /usr/lib/systemd/system/nvidia-persistenced.service
script nvidia-persistenced prerm <<'SH'
systemctl disable -q --now nvidia-persistenced.service || true
SH
package "$cuda" nvidia-persistenced "$driver-1" ''

# Modules are not built here, so their headers are empty.
package "$cuda" "linux-headers-$(uname -r)" 1 ''

# --- the container toolkit, in the version that the role takes and in one that is too old ---
for version in 1.20.0-1 1.17.8-1; do
  put libnvidia-container-tools /usr/bin/nvidia-container-cli 0755
  mkdir -p "$work/libnvidia-container1$library"
  echo "stands in for a library" >"$work/libnvidia-container1$library/libnvidia-container.so.1"
  package "$toolkit" libnvidia-container1 "$version" ''
  package "$toolkit" libnvidia-container-tools "$version" "libnvidia-container1 (= $version)"

  put nvidia-container-toolkit-base /usr/bin/nvidia-ctk 0755
  put nvidia-container-toolkit-base /usr/bin/nvidia-container-runtime 0755
  sed -i "s/@VERSION@/${version%-1}/" "$work/nvidia-container-toolkit-base/usr/bin/nvidia-ctk"
  if [ "$version" != 1.17.8-1 ]; then
    put nvidia-container-toolkit-base /usr/lib/systemd/system/nvidia-cdi-refresh.service
    put nvidia-container-toolkit-base /usr/lib/systemd/system/nvidia-cdi-refresh.path
    script nvidia-container-toolkit-base postinst <<'SH'
systemctl daemon-reload
systemctl enable -q nvidia-cdi-refresh.path nvidia-cdi-refresh.service
systemctl restart nvidia-cdi-refresh.path nvidia-cdi-refresh.service || true
SH
    script nvidia-container-toolkit-base prerm <<'SH'
systemctl disable -q --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service || true
SH
  fi
  package "$toolkit" nvidia-container-toolkit-base "$version" ''

  put nvidia-container-toolkit /usr/bin/nvidia-container-runtime-hook 0755
  package "$toolkit" nvidia-container-toolkit "$version" \
    "nvidia-container-toolkit-base (= $version), libnvidia-container-tools (= $version), python3"
done

# --- the repositories, signed ---
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-generate-key 'local_llm.fleet practice site' rsa3072 sign never
for repository in "$cuda" "$toolkit"; do
  (
    cd "$repository"
    apt-ftparchive packages . >Packages
    gzip -k9 Packages
    apt-ftparchive -o APT::FTPArchive::Release::Origin=practice-site release . >/tmp/Release
    mv /tmp/Release Release
    gpg --batch --quiet --clearsign --output InRelease Release
  )
done
gpg --armor --export >"$cuda/8793F200.pub"
cp "$cuda/8793F200.pub" "$out/libnvidia-container/gpgkey"
gpgconf --kill all
rm -rf "$work" "$GNUPGHOME"
