"""Real processes for the system tests: a program with its log; a device with fingers, and an eye on its control line.

Every program is started by an argument list with this very Python, ended by its pid, and dies with pytest.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ARMED_AFTER = timedelta(milliseconds=100)
"""Five times as long as a button must be still."""
ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 25.0
"""Bound of every wait; what is waited for takes a second or two, on a busy machine a few more."""


def until(condition: Callable[[], T | None], what: str, within_s: float = WITHIN_S, every_s: float = 0.01) -> T:
    """The first truthy value of the condition, asked again and again; fails with ``what`` after ``within_s``."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        pause.wait(every_s)
    return found


def run_to_end(command: Sequence[str], directory: Path = ROOT) -> str:
    """Run a command to its end, which must be a good one; its output."""
    done = subprocess.run(
        command, capture_output=True, cwd=directory, env=environment(), timeout=60, check=False, text=True
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def die_with_us() -> list[str]:
    """The prefix of a command that ends it when pytest is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def environment() -> dict[str, str]:
    """Ours, in plain English, without what speaks to a service manager, with our packages found from anywhere."""
    ours = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    return ours | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}


class Program:
    """A command with its log in a file; ``start`` again after ``kill`` continues the log.

    ``variables``: more of them for its environment.
    """

    def __init__(
        self, name: str, command: Sequence[str], directory: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._variables = {**(variables or {})}
        self.log = directory / f"{name}.log"
        self._command = [*die_with_us(), *command]
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it; from the main thread, with which it dies."""
        assert self.pid is None, f"{self.name} runs already"
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env=environment() | self._variables,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it is (SIGSTOP): it lives, its sockets are open, and it does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """End it in good order; its exit code, None if it was not started."""
        return self._end(how)

    def logged(self, event: str) -> dict[str, Any] | None:
        """The first line with this event in the log since the last start."""
        return next((line for line in self.lines() if line.get("event") == event), None)

    def lines(self) -> list[dict[str, Any]]:
        """The log since the last start; what is no JSON line becomes an event of that text."""
        raw = self.log.read_bytes()[self._log_start :] if self.log.exists() else b""
        return [_log_line(line) for line in raw.decode("utf-8", "replace").splitlines()]

    def last_words(self, count: int = 15) -> str:
        """Whether it runs, and the end of its log."""
        code = self._process.poll() if self._process is not None else None
        state = "runs" if self.pid is not None else f"is down (code {code})"
        tail = self.log.read_text("utf-8", "replace").splitlines()[-count:] if self.log.exists() else []
        return "\n".join([f"--- {self.name} {state}", *tail])

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(how)
        try:
            return process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not end within 10 s of {how.name}\n{self.last_words()}") from None


def _log_line(line: str) -> dict[str, Any]:
    with suppress(ValueError):
        parsed = json.loads(line)
        if isinstance(parsed, dict):
            return parsed
    return {"event": line}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a device showed at a moment; ``at`` is its own wall clock, None while there is nobody to ask."""

    at: datetime | None = None
    stage: str = "gone"
    light: str | None = None
    sounding: tuple[str, ...] = ()
    rev: int = 0
    outbox: int = 0
    link: bool = False
    seen: datetime | None = field(default=None, compare=False)
    """When the test saw it, by the test's own clock."""


GONE = Sighting()


class Device(Program):
    """A device on mock pins, with fingers for its buttons and an eye on its control line.

    ``sightings`` is everything that it has shown since the beginning, ``GONE`` wherever its process ended.
    """

    def __init__(
        self,
        name: str,
        config: Path,
        control: Path,
        *,
        inside: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        command = [*inside, sys.executable, "-m", "device", "run", "--pins", "mock"]
        command += ["--config", str(config), "--control", str(control)]
        super().__init__(name, command, config.parent, variables)
        self.sightings: list[Sighting] = [GONE]
        self._control = control
        self._closing = threading.Event()
        self._watched: socket.socket | None = None
        self._eye = threading.Thread(target=self._look, name=f"eye-{name}", daemon=True)
        self._eye.start()

    @property
    def now(self) -> Sighting:
        """The newest sighting."""
        return self.sightings[-1]

    def down(self, pin: str) -> None:
        """Put a finger on a button."""
        self._ask({"do": "down", "pin": pin})

    def up(self, pin: str) -> None:
        """Take it off."""
        self._ask({"do": "up", "pin": pin})

    def press(self, pin: str, ms: int = 150) -> None:
        """Down, and up after ``ms``."""
        self._ask({"do": "press", "pin": pin, "ms": ms})

    def kill(self) -> None:
        super().kill()
        self._await_gone()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        code = super().stop(how)
        self._await_gone()
        return code

    def close(self) -> None:
        """Stop the process and the eye."""
        self._closing.set()
        try:
            self.stop()
        finally:
            if (sock := self._watched) is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self._eye.join(WITHIN_S)

    def _await_gone(self) -> None:
        until(lambda: self.now is GONE, f"the control line of {self.name} ends with it")

    def _ask(self, request: dict[str, Any]) -> None:
        until(self._armed, f"{self.name} is there to be touched")
        with self._conversation(WITHIN_S) as (sock, lines):
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(lines.readline() or b"{}")
        assert answer.get("ok"), f"{self.name} answered {request} with {answer}"

    def _armed(self) -> bool:
        """Whether its buttons have been seen released since the start; what is pressed before is no press (device)."""
        seen = [*self.sightings]
        if seen[-1] is GONE:
            return False
        started = max(number for number, one in enumerate(seen) if one is GONE) + 1
        since = seen[started].at
        return since is not None and datetime.now(UTC) >= since + ARMED_AFTER

    def _look(self) -> None:
        while not self._closing.wait(0.01):
            with suppress(OSError, ValueError), self._conversation(None) as (sock, lines):
                self._watched = sock
                sock.sendall(b'{"do": "watch"}\n')
                for line in lines:
                    self._note(json.loads(line))
            if self.now is not GONE:
                self.sightings.append(GONE)

    def _note(self, state: dict[str, Any]) -> None:
        if "stage" not in state:  # the process has not had its first turn
            return
        at, sounding = datetime.fromisoformat(state["at"]), tuple(state["sounding"])
        facts = {key: state[key] for key in ("stage", "light", "rev", "outbox", "link")}
        self.sightings.append(Sighting(at=at, sounding=sounding, seen=datetime.now(UTC), **facts))

    @contextmanager
    def _conversation(self, timeout_s: float | None) -> Iterator[tuple[socket.socket, BufferedReader]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(str(self._control))
            with sock.makefile("rb") as lines:
                yield sock, lines
