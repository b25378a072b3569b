#!/bin/sh
# A card becomes a device. cloud-init runs `first-boot.sh begin` early in every boot; that starts the unit, which runs
# this script without an argument. Every step may be cut off by the power and is then done again, or seen to be done.
#
# What is secret leaves the boot partition, which every computer can read, before anything else is waited for.
set -eu
card=/boot/firmware
from=$card/doorbell
etc=/etc/doorbell
unit=doorbell-first-boot.service
done_mark=$etc/first-boot.done
umask 077
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

begin() {
  # The boot before may have been cut off inside cloud-init, which takes a step that has begun for done.
  rm -f /var/lib/cloud/instance/sem/config_*
  # Raspberry Pi OS keeps the radio off until somebody says in which country it is; network-config says it.
  if command -v rfkill >/dev/null; then rfkill unblock wifi || true; fi
  # Raspberry Pi OS asks at the console for a user and a password, and there shall be none.
  systemctl mask userconfig.service >/dev/null 2>&1 || true
  install -m 644 "$from/$unit" "/etc/systemd/system/$unit"
  systemctl daemon-reload
  systemctl enable --quiet "$unit"
  systemctl start --no-block "$unit"
}

keep() { # keep NAME TARGET MODE: the card's file, whole or not at all, in the place of one that is there
  [ -s "$from/$1" ] || return 0
  if cmp -s "$from/$1" "$2"; then return 0; fi
  install -m "$3" "$from/$1" "$2.part"
  sync "$2.part"
  mv "$2.part" "$2"
  sync "$(dirname "$2")"
}

wipe() { # wipe FILE: overwrite it, and delete it. Under another name: half overwritten it must not pass for itself.
  if [ -f "$1" ]; then
    mv "$1" "$1.old"
    sync "$(dirname "$1")"
  fi
  [ -f "$1.old" ] || return 0
  shred --iterations=1 --zero --remove=unlink "$1.old"
  sync "$(dirname "$1")"
}

take_identity() {
  install -d -m 750 "$etc"
  keep ca.pem "$etc/ca.pem" 640
  keep certificate.pem "$etc/certificate.pem" 640
  keep key.pem "$etc/key.pem" 600
  keep device.toml "$etc/device.toml" 640
  for name in ca.pem certificate.pem key.pem device.toml; do
    [ -s "$etc/$name" ] || { echo "the card has no $name: make it again with doorbell-relay provision replace" >&2; exit 1; }
  done
  wipe "$from/key.pem"
}

install_packages() {
  set -- "$from"/packages/*.deb
  dpkg --configure -a
  apt() { apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold "$@"; }
  # Where the card brings all that is needed there need be no network.
  apt install --no-install-recommends "$@" || { apt update; apt install --no-install-recommends "$@"; }
  systemd-tmpfiles --create doorbell-device.conf
  if [ -e "$from/upgrades" ]; then
    apt install --no-install-recommends unattended-upgrades || echo "there are no unattended-upgrades" >&2
    printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' \
      >/etc/apt/apt.conf.d/20auto-upgrades
  fi
}

harden() {
  keep doorbell.nft /etc/nftables.conf 644
  if command -v nft >/dev/null; then
    systemctl enable --quiet nftables.service
    systemctl restart nftables.service || echo "the firewall could not be loaded" >&2
  else
    echo "there is no nft here: no firewall" >&2
  fi
  if [ ! -e "$from/upgrades" ]; then
    systemctl stop apt-daily.timer apt-daily-upgrade.timer || true
    systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer
  fi
  if [ -e "$from/ssh" ]; then
    systemctl enable --quiet --now ssh.service
  else
    # Masked, for it may be about to start: this is still the boot.
    systemctl stop ssh.service ssh.socket >/dev/null 2>&1 || true
    systemctl mask --quiet --now ssh.service ssh.socket
  fi
}

prove() { # The daemon runs, and tells the relay by its self-test; that it is not content yet is no reason to begin anew.
  systemctl start doorbell-device.service
  tries=0
  until systemctl start doorbell-device-selftest.service; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || { echo "the self-test does not pass: doorbell-device doctor tells why" >&2; break; }
    sleep 10
  done
}

finish() {
  # From here on a step that was cut off must not look for what it has removed already.
  touch "$done_mark"
  sync "$etc"
  # Without its files cloud-init would take this for another machine, and do all of its work again.
  [ ! -d /etc/cloud ] || { touch /etc/cloud/cloud-init.disabled; sync /etc/cloud; }
  wipe "$from/key.pem"
  wipe "$card/network-config"
  rm -rf "$card/user-data" "$card/meta-data" "$from/packages"
  for file in "$from"/*; do
    [ "$file" = "$from/first-boot.sh" ] || rm -f "$file"
  done
  sync "$from"
  rm -f "$from/first-boot.sh"
  rmdir "$from"
  sync "$card"
  systemctl disable --quiet "$unit"
}

if [ "${1:-}" = begin ]; then
  begin
  exit 0
fi
if [ ! -e "$done_mark" ]; then
  take_identity
  harden
  install_packages
  prove
fi
finish
