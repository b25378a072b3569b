#!/bin/sh
# mmdebstrap's last hook. Usage: KERNEL_SUITE=... KERNEL=... KERNEL_TO=directory fetch-kernel.sh ROOT
# Fetches that kernel's packages with the new root's own apt, moves them out, and takes the suite out of its sources:
# what is installed later must not come from there.
set -eu
root=$1
chroot "$root" sh -eu -s "$KERNEL/$KERNEL_SUITE" <<'INSIDE'
mkdir -m 777 /var/tmp/kernel
cd /var/tmp/kernel
version=$(apt-cache show "$1" | sed -n 's/^Depends:.*linux-image-\([0-9][^ ]*\) .*/\1/p' | sort -V | tail -n 1)
apt-get -q download "linux-binary-$version" "linux-modules-$version" "linux-base-$version"
INSIDE
mkdir -p "$KERNEL_TO"
mv "$root"/var/tmp/kernel/*.deb "$KERNEL_TO"
rmdir "$root/var/tmp/kernel"
sed -i "/ $KERNEL_SUITE /d" "$root/etc/apt/sources.list"
rm -f "$root"/var/lib/apt/lists/*_"$KERNEL_SUITE"_*
