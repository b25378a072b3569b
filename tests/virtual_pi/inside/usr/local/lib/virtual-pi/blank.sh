#!/bin/sh
# Runs once in the new root of a machine for a card: as Raspberry Pi OS is flashed, before a card's files are on it.
set -eu
rm -r /etc/doorbell /etc/systemd/network/10-virtual-pi.network /usr/lib/tmpfiles.d/virtual-pi-bell.conf
sed -i 's#panel#bell#' /etc/systemd/system/doorbell-device.service.d/virtual-pi.conf
mkdir -p /boot/firmware
echo 'LABEL=bootfs /boot/firmware vfat defaults 0 2' >/etc/fstab
cat >/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg <<'CLOUD'
datasource_list: [ NoCloud, None ]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware
CLOUD
for unit in cloud-init-main cloud-init-local; do
  mkdir -p /etc/systemd/system/$unit.service.d
  printf '[Unit]\nRequiresMountsFor=/boot/firmware\n' >/etc/systemd/system/$unit.service.d/card.conf
done
# More patience than on a Pi: what takes a second there may take minutes.
mkdir -p /etc/systemd/system.conf.d /etc/systemd/system/systemd-modules-load.service.d
printf '[Manager]\nDefaultTimeoutStartSec=30min\nDefaultDeviceTimeoutSec=30min\n' >/etc/systemd/system.conf.d/patience.conf
printf '[Service]\nTimeoutSec=30min\n' >/etc/systemd/system/systemd-modules-load.service.d/patience.conf
# One radio, and nobody to hear it.
echo mac80211_hwsim >/etc/modules-load.d/radio.conf
echo 'options mac80211_hwsim radios=1' >/etc/modprobe.d/radio.conf
systemctl enable virtual-pi-header.service systemd-networkd.service
install -d -m 1777 /var/lib/ears
