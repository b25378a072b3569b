"""A program of the demo's neighbourhood as a child process: started, ended by its pid, its last words kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sim.broker import die_with_parent

KEPT_LINES = 8
"""Last lines shown when a program fails: enough for an error and what led to it."""
STOP_S = 5.0
"""A daemon says ``offline`` and ends in well under a second; after this it is killed."""
_ROOT = Path(__file__).resolve().parent.parent


class Child:
    """``python -m MODULE ARGUMENTS`` in the directory of ``log``, where its output goes. It ends when this program is
    gone, however that went, and does not hear the terminal's Ctrl-C."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, from the main thread: it dies with the thread that started it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*die_with_parent(), *python_command(self._arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                env=child_environment(),
                start_new_session=True,
            )

    def ended(self) -> int | None:
        """The exit code if it has ended by itself, minus the signal's number if it was killed; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """End it in good order, after ``STOP_S`` the hard way."""
        self.ask_to_stop()
        self._finish(STOP_S)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._finish(STOP_S)

    def last_words(self) -> str:
        """How it ended, and its last lines."""
        code = self.ended()
        how = "runs" if code is None else f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with {code}"
        said = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        lines = [f"{self.name} {how}", *(f"    {line[:300]}" for line in said[-KEPT_LINES:]), f"    ({self.log})"]
        return "\n".join(lines)

    def _finish(self, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_once(name: str, arguments: Sequence[str], cwd: Path, timeout_s: float) -> tuple[int, str, str]:
    """Run ``python -m …`` to its end: exit code, output, errors. One that does not end counts as code 124."""
    try:
        done = subprocess.run(
            python_command(arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env=child_environment(),
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"{name} did not end within {timeout_s:g} s"
    return done.returncode, done.stdout, done.stderr


def python_command(arguments: Sequence[str]) -> list[str]:
    """This very Python running a module."""
    return [sys.executable, "-m", *arguments]


def child_environment() -> dict[str, str]:
    """Ours, without what speaks to our own service manager, and so that our packages are found from any directory."""
    environment = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    path = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
