#!/bin/sh
# Runs once in the new root, after our package was installed: a second instance of its own unit, for the bell.
set -eu
units=/etc/systemd/system
mkdir -p $units/doorbell-bell.service.d
sed -e 's#/var/lib/doorbell-device#/var/lib/doorbell-bell#g' -e 's#/run/doorbell-device#/run/doorbell-bell#g' \
  -e 's#/etc/doorbell/device.toml#/etc/doorbell/bell.toml#g' -e 's#doorbell-device\.conf#virtual-pi-bell.conf#' \
  -e 's#^RuntimeDirectory=.*#RuntimeDirectory=doorbell-bell#' \
  /usr/lib/systemd/system/doorbell-device.service >$units/doorbell-bell.service
sed -e 's#panel#bell#g' $units/doorbell-device.service.d/virtual-pi.conf >$units/doorbell-bell.service.d/virtual-pi.conf
systemctl enable virtual-pi-header.service systemd-networkd.service doorbell-device.service doorbell-bell.service
install -d -m 1777 /var/lib/ears
