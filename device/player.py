"""A player's process: that it dies with us, how it is ended, and what it complained about."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress

_KILL_S = 1.0
"""How long a killed player may take to be gone; one that the kernel holds longer is left behind."""


def dies_with_us() -> tuple[str, ...]:
    """A player must not go on ringing when this process is killed: util-linux's setpriv sees to it, where it is."""
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "KILL", "--")


def kill_player(process: subprocess.Popen[bytes]) -> None:
    """The player and everything that it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def words_of_player(process: subprocess.Popen[bytes]) -> str:
    """The end of what an ended or killed player complained about; nothing if something holds it up."""
    words = b""
    with suppress(subprocess.TimeoutExpired):
        _, words = process.communicate(timeout=_KILL_S)
    if process.stderr is not None:
        process.stderr.close()
    return words.decode(errors="replace")[-300:]
