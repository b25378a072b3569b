"""Forks of this process, a few at a time, each of which tries one mutant.

A mutant may loop for ever: it has a limit of processor time, and of waiting. Both are counted so that a run may be
stopped (SIGSTOP) and continued: if this process finds that it stood still, what ran meanwhile is run again, because a
test that waits with a bound may have failed by that alone.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HUNG_S = 5
"""Seconds of processor time of a mutant beyond five times what its tests take by themselves."""
STUCK_S = 120.0
"""Seconds for which a mutant may sleep; those in which it would run and others have the processors do not count."""
MEMORY_BYTES = 4 << 30
"""A list that grows for ever ends before the machine does."""
_LOOK_S = 0.5
_STOOD_STILL_S = 5.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a mutant. ``by``: the test that failed first, ``hung``, or empty if it survived."""

    name: str
    by: str


@dataclass(slots=True)
class Child:
    """A fork that runs. ``slept_s``: how many seconds it has slept by now, without those in which all stood still."""

    name: str
    start: Callable[[int], None]
    says: int
    slept_s: float = 0.0


@dataclass(slots=True)
class Forks:
    """At most ``jobs`` forks at a time; ``done`` is told of each that has ended by itself."""

    jobs: int
    done: Callable[[Tried], None]
    stuck_s: float = STUCK_S
    running: dict[int, Child] = field(default_factory=dict)
    _looked: float = 0.0

    def __post_init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def add(self, name: str, run: Callable[[int], None]) -> None:
        """Fork: ``run(says)`` runs there, writes the failed test to ``says``, and must not return."""
        while len(self.running) >= self.jobs:
            self._wait()
        if not self.running:
            self._looked = time.monotonic()
        self._fork(name, run)

    def finish(self) -> None:
        """Wait for all."""
        while self.running:
            self._wait()

    def _fork(self, name: str, run: Callable[[int], None]) -> None:
        hears, says = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(hears)
            _in_child(run, says)
        os.close(says)
        self.running[pid] = Child(name, run, hears)

    def _wait(self) -> None:
        signal.sigtimedwait([signal.SIGCHLD], _LOOK_S)
        now = time.monotonic()
        since_s, self._looked = now - self._looked, now
        if since_s > _STOOD_STILL_S:
            self._again()
            return
        for pid, child in list(self.running.items()):
            child.slept_s += since_s if _sleeps(pid) else 0
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._ended(pid, status)
            elif child.slept_s > self.stuck_s:
                os.kill(pid, signal.SIGKILL)

    def _ended(self, pid: int, status: int) -> None:
        child = self.running.pop(pid)
        with os.fdopen(child.says, "rb") as said:
            by = said.read().decode()
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            by = "hung" if -code in {signal.SIGXCPU, signal.SIGKILL} else f"ended by signal {-code}"
        elif code and not by:
            by = f"ended with {code}"
        self.done(Tried(child.name, by))

    def _again(self) -> None:
        stopped, self.running = self.running, {}
        for pid, child in stopped.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(child.says)
            self._fork(child.name, child.start)


def _sleeps(pid: int) -> bool:
    """Whether a process waits for something, and not only for its turn."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "S"


def _in_child(run: Callable[[int], None], says: int) -> None:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        run(says)
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 # whatever it is, nothing of the parent may run on here
        os.write(says, f"{type(error).__name__}: {error}".encode()[:500])
    finally:
        os._exit(2)


def limit_processor_time(tests_s: float) -> None:
    """For a fork, whose own count begins at 0."""
    limit = HUNG_S + int(5 * tests_s)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
