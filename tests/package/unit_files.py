"""What systemd itself says of a unit file that lies in a root directory."""

import re
import subprocess
from datetime import datetime
from pathlib import Path

from tests.package.debs import output

SYSTEM = Path("usr/lib/systemd/system")
HIGHEST_EXPOSURE = 2.5
NEWER_KEYS = {"RestartSteps": 254, "RestartMaxDelaySec": 254}
"""Keys that an older systemd ignores, with a warning; the daemon is restarted there too, always after RestartSec."""


def complaints(root: Path, unit: str) -> list[str]:
    """What ``systemd-analyze verify`` says. Its exit code is 0 for an unknown key and a bad value, so it is read."""
    command = ["systemd-analyze", "verify", "--man=no", f"--root={root}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    version = int(output("systemctl", "--version").split()[1])
    unknown = [key for key, since in NEWER_KEYS.items() if version < since]
    lines = (done.stdout + done.stderr).splitlines()
    told = [line for line in lines if not any(f"Unknown key '{key}'" in line for key in unknown)]
    return told + ([f"exit code {done.returncode}"] if done.returncode else [])


def exposure(root: Path, unit: str) -> float:
    """How much of the machine a service could reach, from 0 to 10."""
    told = output("systemd-analyze", "security", "--offline=yes", f"--root={root}", unit)
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert score
    return float(score[1])


def days_between(calendar: str) -> float:
    """Between one time and the next of an ``OnCalendar=``."""
    told = output("systemd-analyze", "calendar", "--iterations=2", calendar, TZ="UTC")
    times = [re.search(r"\d{4}-\d\d-\d\d [\d:]+", line) for line in told.splitlines() if "UTC" in line]
    first, second = (datetime.fromisoformat(time[0]) for time in times if time)
    return (second - first).total_seconds() / 86_400
