#!/usr/bin/env bash
# Makes .venv hold exactly what requirements.lock names. Called by `make setup`, which skips it while nothing has changed.
# Usage: tools/setup.sh STAMP          PYTHON=python3.12 chooses another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$1
python=${PYTHON:-python3}
say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

if ! .venv/bin/python -c 'import sys' 2>/dev/null || ! [ -x .venv/bin/pip ]; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || die "needs Python 3.11 or newer as '$python'. On Debian: apt-get install python3 python3-venv; or name another: make setup PYTHON=python3.12"
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    tools/apt.sh python3-venv
  fi
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi

say "installing the pinned installer"
.venv/bin/pip install --quiet --disable-pip-version-check --no-input --require-hashes -r tools/bootstrap.txt

say "installing $(grep -c '^[a-z].*==' requirements.lock) locked packages"
export VIRTUAL_ENV="$PWD/.venv" UV_NO_PROGRESS=1
# Where the machine has certificates of its own, they count: a network may have an authority that uv does not carry.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi
# sync removes what these files do not name; uv itself is in the second.
.venv/bin/uv pip sync --quiet --require-hashes requirements.lock tools/bootstrap.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --offline -e .
touch "$stamp"
say "done: .venv is ready"
