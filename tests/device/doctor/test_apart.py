"""The doctor is a command's affair: nothing of it is in the daemon's process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
_NAMES = """
import sys
import device.command, device.daemon
device.command._parser()
print([name for name in sys.modules if name.startswith("device.doctor")])
"""


def test_the_daemon_imports_no_doctor() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _NAMES], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "[]\n", done.stderr
