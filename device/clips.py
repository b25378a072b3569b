"""The files of clips: found, made by a process of its own, kept within bounds, and read in pieces.

A score (a tone, a chime) can always be had: it is made on the spot where its file is missing. A sentence can not: it is
asked for, made at the lowest priority, and there when it is there. A file in which the card has lost a block counts as
missing from then on, until it was made anew.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from device.core.machine import Trouble
from device.sounds.making import Recipe, Score, Speech, make_clip
from device.sounds.waves import HEADER_BYTES

MAX_NAMED = 64
"""Sentences with names that are kept, the oldest out first: every pair of a bell has some ten."""
MAX_NAMED_BYTES = 24 * 1024 * 1024
_MAX_WAITING = 128
"""All sentences of a role, and some names; what does not fit is asked for again when it is needed."""
_JOB_TIMEOUT_S = 90.0
"""A sentence takes 0.2 s here, a few on a Zero 2 W; espeak-ng alone is given 20."""
_RENDERER = (sys.executable, "-m", "device.sounds.rendering")
_ELSEWHERE = "doorbell-sounds-"
PIECE_BYTES = 4096
"""93 ms: so often the speaker looks whether the player still takes what it is fed."""
_FILE_NAME = re.compile(r"[\w-]+\.[0-9a-f]{16}\.wav")

_log = structlog.get_logger("device.sound")


class Clips:
    """Clips by their recipes. ``directory`` need not be writable, nor stay so; ``sink`` hears of faults."""

    def __init__(self, directory: Path, sink: Callable[[Trouble], None]) -> None:
        self._directory = directory
        self._sink = sink
        self._changed = threading.Condition()
        self._waiting: deque[Recipe] = deque()
        self._unusable: set[str] = set()
        self._unreadable: set[str] = set()
        self._making: Recipe | None = None
        self._closing = False
        self._renderer: subprocess.Popen[bytes] | None = None
        self._troubled: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="voice", daemon=True)

    def start(self) -> None:
        """Make what is asked for."""
        self._thread.start()

    def want(self, recipes: Iterable[Recipe], *, first: bool = False) -> None:
        """Have these made if they are missing; ``first``: before what waits already."""
        with self._changed:
            for recipe in recipes:
                if recipe not in self._waiting and len(self._waiting) < _MAX_WAITING:
                    (self._waiting.appendleft if first else self._waiting.append)(recipe)
            self._changed.notify_all()

    def pieces(self, recipe: Recipe) -> Iterator[bytes] | None:
        """The clip's samples, so that never more than a piece of it is in memory; None if it is not there. Never None
        for a score. What cannot be read to its end ends early."""
        found = self._file(recipe)
        if found is None and isinstance(recipe.material, Score):
            found = io.BytesIO(_made(recipe))
        return None if found is None else self._read(recipe, found)

    def expected(self, recipe: Recipe) -> bool:
        """Whether it is being made, or will be."""
        with self._changed:
            return recipe == self._making or recipe in self._waiting

    def unusable(self, recipe: Recipe) -> bool:
        """Whether making it has failed since the start."""
        return recipe.file_name in self._unusable

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """The thread ends, and what it makes with it."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            if self._renderer is not None:
                self._renderer.kill()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=3.0)

    def _file(self, recipe: Recipe) -> BinaryIO | None:
        path = self._directory / recipe.file_name
        if recipe.file_name in self._unreadable:
            return None
        try:
            file = path.open("rb")
        except OSError:
            return None
        with suppress(OSError):
            header = file.read(HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
            if header[:4] == b"RIFF" and HEADER_BYTES + int.from_bytes(header[40:44], "little") == size:
                return file
        file.close()  # not ours, or a card that loses blocks
        self._throw_away(path)
        return None

    def _read(self, recipe: Recipe, clip: BinaryIO) -> Iterator[bytes]:
        with clip:
            try:
                while piece := clip.read(PIECE_BYTES):
                    yield piece
            except OSError as error:
                _log.warning("sound.clip_unreadable", clip=recipe.slug, reason=error.strerror)
                self._throw_away(self._directory / recipe.file_name)

    def _throw_away(self, path: Path) -> None:
        """Not to be opened again before it was made anew; a card that is spoilt may not even let go of it."""
        self._unreadable.add(path.name)
        with suppress(OSError):
            path.unlink()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._tidy()
            while (recipe := self._next()) is not None:
                self._make(recipe)
        except Exception:  # noqa: BLE001 - the thread's end is seen by ``alive``, and the watchdog acts on it
            if not self._closing:
                _log.exception("sound.voice_died")
        finally:
            self._end_renderer()

    def _next(self) -> Recipe | None:
        """The next that is missing; None when closing. An idle renderer is sent away: it has 10 MB."""
        while True:
            with self._changed:
                if not self._waiting and not self._closing and self._renderer is None:
                    self._changed.wait()
                if self._closing:
                    return None
                self._making = recipe = self._waiting.popleft() if self._waiting else None
            if recipe is None:
                self._end_renderer()
            elif (there := self._file(recipe)) is not None:
                there.close()
            else:
                return recipe

    def _make(self, recipe: Recipe) -> None:
        path = self._directory / recipe.file_name
        answer = self._ask({"recipe": recipe.to_plain(), "path": str(path)})
        if self._closing:
            return
        failed, reason = answer["failed"], answer["reason"]
        with self._changed:
            if failed in ("voice", "recording"):
                self._unusable.add(recipe.file_name)
            elif not failed:
                self._unusable.discard(recipe.file_name)
                self._unreadable.discard(recipe.file_name)
            self._making = None
        if failed == "disk":
            self._move(recipe, reason)
        elif failed:
            self._trouble(failed, reason)
        else:
            self._prune(recipe)
            if not isinstance(recipe.material, Score):
                self._well("voice" if isinstance(recipe.material, Speech) else "recording")

    def _ask(self, job: dict[str, Any]) -> dict[str, str]:
        """Let the renderer do a job. One that dies or hangs has failed for want of a voice."""
        try:
            if self._renderer is None:
                self._renderer = subprocess.Popen(
                    _RENDERER,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    bufsize=0,
                )
            process = self._renderer
            if process.stdin is None or process.stdout is None:  # pragma: no cover - both asked for
                raise OSError("no pipes")
            process.stdin.write(json.dumps(job).encode() + b"\n")
            line = b""
            while not line.endswith(b"\n"):
                if not select.select([process.stdout], [], [], _JOB_TIMEOUT_S)[0]:
                    raise TimeoutError(f"nothing made within {_JOB_TIMEOUT_S:g} s")
                piece = process.stdout.read(4096)
                if not piece:
                    raise OSError(f"the renderer ended with status {process.wait(1.0)}")
                line += piece
            answer: dict[str, str] = json.loads(line)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            if self._renderer is not None:
                self._renderer.kill()
            self._end_renderer()
            return {"failed": "voice", "reason": f"no clip can be made: {error}"}
        return answer

    def _end_renderer(self) -> None:
        process, self._renderer = self._renderer, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _move(self, recipe: Recipe, reason: str) -> None:
        """A disk that is full or read-only must not take a voice away: memory has room."""
        _log.warning("sound.not_cached", reason=reason)
        if self._directory.name.startswith(_ELSEWHERE):
            return
        with suppress(OSError):  # nowhere at all: then tones are made on the spot, and nothing is spoken
            self._directory = Path(tempfile.mkdtemp(prefix=_ELSEWHERE))
            self.want([recipe], first=True)

    def _trouble(self, kind: str, reason: str) -> None:
        _log.warning("sound.voice_failed", kind=kind)
        if kind not in self._troubled:
            self._troubled.add(kind)
            self._sink(Trouble("voice_failed", kind, reason))

    def _well(self, kind: str) -> None:
        if kind in self._troubled:
            self._troubled.discard(kind)
            self._sink(Trouble("voice_failed", kind, cleared=True))

    def _prune(self, made: Recipe) -> None:
        """A clip takes the place of what was the same before; of names only so many are kept."""
        with suppress(OSError):
            if not made.slug.startswith("name-"):
                for other in self._directory.glob(f"{made.slug}.*.wav"):
                    if other.name != made.file_name:
                        other.unlink(missing_ok=True)
                return
            named = sorted(self._directory.glob("name-*.wav"), key=lambda path: path.stat().st_mtime, reverse=True)
            named.sort(key=lambda path: path.name != made.file_name)  # a clock in 1970 must not take the newest
            total = 0
            for place, path in enumerate(named):
                total += path.stat().st_size
                if place >= MAX_NAMED or (total > MAX_NAMED_BYTES and place):
                    path.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """What a power cut has left half written, and files of another version's kind."""
        with suppress(OSError):
            for path in self._directory.iterdir():
                if path.is_file() and not _FILE_NAME.fullmatch(path.name):
                    path.unlink(missing_ok=True)


@lru_cache(maxsize=2)
def _made(recipe: Recipe) -> bytes:
    """Samples made on the spot; two are remembered for a bell that has no disk left, 0.4 MB at most."""
    return make_clip(recipe)[HEADER_BYTES:]
