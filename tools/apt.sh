#!/usr/bin/env bash
# Installs the Debian packages named, when they are missing and we may. Usage: tools/apt.sh PACKAGE...
set -euo pipefail
missing=()
for package in "$@"; do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

hint="needed from the system: ${missing[*]}. Install with: apt-get install ${missing[*]}"
command -v apt-get >/dev/null || { echo "$hint (or what your distribution calls them)" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || { echo "$hint (as root: sudo)" >&2; exit 1; }

echo "apt: installing ${missing[*]}"
# A service that the package would start (mosquitto's) is not wanted on a developer's machine: tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null; }
install || { apt-get update -q >>"$log" 2>&1 </dev/null && install; } || { tail -n 20 "$log" >&2; echo "$hint" >&2; exit 1; }
rm -f "$log"
