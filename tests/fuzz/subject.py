"""What a fuzz target is: code that strangers' bytes reach, what it may answer, and how much it may cost."""

from __future__ import annotations

import atexit
import importlib
import resource
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
CPU_S = 2.0
"""Of the processor's time (not the wall's) for one input; the dearest that is no hang takes a tenth of it."""
GROWTH_MB = 512
"""How much memory inputs may add to what the first few thousand took: no input is larger than 64 KiB."""


_MEMORY = Path("/dev/shm")


class CostError(BaseException):
    """An input took more of the processor or of the memory than any may. No ``except Exception`` stops it."""


class DifferentError(AssertionError):
    """A round trip came back different, or two ways of reading the same disagree."""


def same(what: str, left: object, right: object) -> None:
    """Raises ``DifferentError`` unless both are equal."""
    if left != right:
        raise DifferentError(f"{what}: {left!r:.300} is not {right!r:.300}")


def holds(what: str, condition: bool) -> None:
    """Raises ``DifferentError`` unless it is so."""
    if not condition:
        raise DifferentError(what)


def scratch() -> Path:
    """A directory in memory, where there is one, that goes with the process."""
    folder = tempfile.mkdtemp(prefix="doorbell-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@dataclass(frozen=True, slots=True)
class Subject:
    """``run`` takes any bytes and returns in a word what became of them; whatever it raises is a crash."""

    run: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    """Inputs that are well formed, from which the mutants descend."""
    words: tuple[bytes, ...] = ()
    """What is worth putting in anywhere."""
    mutate: Callable[[Random, bytes], bytes] | None = None
    """A change that keeps the grammar, beside the changes of bytes."""
    max_len: int = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table of targets."""

    name: str
    factory: str
    """``module:function``, imported where it is run so that its code can be instrumented."""
    number: int
    """Inputs in a whole run."""
    watched: tuple[str, ...]
    """Packages whose branches guide the search."""
    what: str

    def load(self) -> Subject:
        """The subject, made in this process."""
        module, _, function = self.factory.partition(":")
        made: Subject = getattr(importlib.import_module(module), function)()
        return made


class Meter:
    """Lets no input cost more than ``CPU_S`` and ``GROWTH_MB``."""

    def __init__(self) -> None:
        self._base_kb = 0
        self._count = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around one input, on the main thread. Raises ``CostError``."""
        signal.signal(signal.SIGVTALRM, _too_long)
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self._count += 1
        if self._count % 16:
            return
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if self._count <= 4_000:
            self._base_kb = max(self._base_kb, min(peak_kb, (self._base_kb or peak_kb) + GROWTH_MB * 1024))
        if peak_kb > self._base_kb + GROWTH_MB * 1024:
            self._base_kb = peak_kb
            raise CostError(f"memory: {peak_kb // 1024} MB; one of the last 16 inputs, or all of them together")


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise CostError(f"more than {CPU_S:g} s of the processor")


_NOT_HERE = ("/fuzz/subject.py", "/fuzz/engine.py")


def place_of(error: BaseException) -> str:
    """Where something went wrong, as far as it tells one bug from another: the type and our own innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{ROOT}/" in frame.filename]
    ours = [frame for frame in ours if "/.venv/" not in frame.filename and not frame.filename.endswith(_NOT_HERE)]
    at = ours[-1] if ours else frames[-1]
    file = Path(at.filename)
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
    return f"{type(error).__name__} at {name}:{at.lineno}"
