#!/usr/bin/env bash
# Prints the address of a Debian mirror: DEBIAN_MIRROR, else the one that this machine's own apt uses.
set -euo pipefail
if [ -n "${DEBIAN_MIRROR:-}" ]; then echo "$DEBIAN_MIRROR"; exit 0; fi
mirror=$(cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | awk '/^URIs:/ { print $2; exit }')
[ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null \
  | awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^(https?|file):.*\/debian\/?$/) { print $i; exit } }')
[ -n "$mirror" ] || { echo "no Debian mirror found; name one: DEBIAN_MIRROR=... (as in /etc/apt/sources.list)" >&2; exit 1; }
echo "$mirror"
