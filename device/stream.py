"""A player process that is fed a WAV stream through a small pipe, no faster than it can be heard.

Why a stream: one player sounds without gaps for as long as a ring lasts, and what it takes from the pipe is the proof
that it works. A player that hangs, or whose sound device does, stops taking within its own buffer (of aplay: 0.5 s);
that is seen ``STALL_S`` later, whatever the length of the clips; /proc/asound would show the same for the Pi's own
cards only, not for a sound server, a network speaker or a test's file. A device that swallows samples faster than time
is held back by our own clock.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from device.player import kill_player, words_of_player
from device.sounds.waves import ENDLESS_BYTES, RATE, wav_header

PIPE_BYTES = 4096
"""The least that the kernel allows: 93 ms of sound."""
LEAD_S = 1.0
"""How far ahead of time the player is fed: twice aplay's buffer, which must be full before anything is heard."""
STALL_S = 2.0
"""A player that takes nothing for so long hangs. The first start from a slow card takes less than one."""
PROOF_S = 0.15
"""aplay that cannot open its device has ended by then (about 15 ms here, 60 ms on a Zero 2 W)."""
DOUBTED_PROOF_S = 2.5
"""After a hang: so much sound taken is more than any player keeps in a buffer that does not move."""
BYTES_S = 2 * RATE
"""Of what is fed."""


class Stream:
    """One player. ``command`` gets ``/dev/stdin`` as the file to play. Raises ``OSError`` if it cannot be started."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*command, "/dev/stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that a script and what it has started are killed as one
            bufsize=0,
        )
        pipe = self._process.stdin
        if pipe is None:  # pragma: no cover - asked for above
            raise OSError("no pipe")
        self._pipe = pipe
        self._fd = pipe.fileno()
        with suppress(OSError):  # another kernel: a larger pipe, a later proof
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._fd, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._began = self._moved = time.monotonic()
        self._written = 0
        self._killed = threading.Event()
        self._header = wav_header(ENDLESS_BYTES)

    def write(self, data: bytes | memoryview, wait_s: float) -> int:
        """How many bytes of it the pipe took within ``wait_s``. Raises ``OSError`` if nobody reads any more."""
        if self._header:
            if not self._ready(wait_s):
                return 0
            self._header = self._header[os.write(self._fd, self._header) :]
        now = time.monotonic()
        early_s = (self._written + len(data)) / BYTES_S - (now - self._began) - LEAD_S
        if early_s > 0:
            self._moved = now  # it is we who wait
            if self._killed.wait(min(early_s, wait_s)) or early_s > wait_s:
                return 0
        if not self._ready(wait_s):
            return 0
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            return 0
        self._written += taken
        self._moved = time.monotonic()
        return taken

    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def proven(self, *, doubted: bool) -> bool:
        """Whether it really plays: it lives long enough to have opened its device and takes what it is fed, or has
        played to its end. ``doubted``: one like it has hung before."""
        if self._process.poll() is not None:
            return self._pipe.closed and self._process.returncode == 0
        taken_s = (self._written - self._unread()) / BYTES_S
        if doubted:
            return taken_s >= DOUBTED_PROOF_S
        return taken_s > 0 and time.monotonic() - self._began >= PROOF_S

    def hangs(self) -> bool:
        """Whether it takes nothing though it should."""
        return time.monotonic() - self._moved >= STALL_S

    def lived_s(self) -> float:
        """Since when, in seconds."""
        return time.monotonic() - self._began

    def end_input(self) -> None:
        """Nothing more comes: it is to play what it has, and end."""
        self._moved = max(self._moved, self._began + self._written / BYTES_S)  # no sooner can it end
        self._pipe.close()

    def wait(self, wait_s: float) -> int | None:
        """Its exit status, None if it lives on."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=wait_s)
        return None

    def kill(self) -> None:
        """The player and everything that it has started. From any thread; one that waits in ``write`` returns."""
        self._killed.set()
        kill_player(self._process)

    def close(self) -> str:
        """Kill it if it lives; the end of what it complained about, nothing if something holds it up."""
        self.kill()
        with suppress(OSError):
            self._pipe.close()
        self._process.stdin = None
        return words_of_player(self._process)

    def _ready(self, wait_s: float) -> bool:
        return bool(self._poll.poll(max(1, round(wait_s * 1000))))

    def _unread(self) -> int:
        """What lies in the pipe."""
        if self._pipe.closed:
            return 0
        (count,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)))
        return int(count)
