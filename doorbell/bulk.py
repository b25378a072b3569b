"""Fewer system calls between paho and the network: what makes a burst of presses cost less than each alone.

paho reads a packet in three ``recv`` calls, writes each with one ``send``, and wakes its loop with another for every
packet that a second thread queues. Each of these gives the interpreter's lock away, and a busy main thread gives it
back only after its switch interval. Here one ``recv`` takes all that has arrived, one ``send`` gives all that waits,
and one byte wakes the loop until it has looked. What ``doorbell.packets`` reads and writes itself paho never sees.

It replaces three private attributes of paho 2.2 (``_sock``, ``_sockpairR``, ``_sockpairW``); the link's tests on real
brokers fail if a release renames them. docs/performance.md has the figures.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Any

from doorbell.errors import DoorbellBug
from doorbell.packets import PacketSorter

READ_SIZE = 65_536
WRITE_LIMIT = 262_144
"""Bytes that wait here for a slow network; above it paho keeps its packets, as it does with a plain socket."""


class BulkSocket:
    """A non-blocking connected socket, plain or TLS, read and written in bulk.

    Any thread may ``flush``; all else is for the loop's thread.

    ``sorter``: has what came and is none of paho's. ``waiting``: packets of other threads, to be sent in their order.
    What is not defined here is the real socket's own.
    """

    def __init__(self, sock: Any, waiting: deque[bytes]) -> None:
        self._sock = sock
        self.sorter = PacketSorter()
        self._waiting = waiting
        self._in = bytearray()
        self._out = bytearray()
        self._lock = threading.RLock()
        """Of the real socket: TLS can not be read and written at once."""
        self.silent = False
        """The connection ended because nothing came back any more, as opposed to being closed by the other side."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def fileno(self) -> int:
        """For ``select``."""
        return int(self._sock.fileno())

    def pending(self) -> int:
        """Bytes for paho that ``recv`` would give without the network; paho asks this before it waits."""
        pending = getattr(self._sock, "pending", None)
        return len(self._in) + (pending() if pending is not None else 0)

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes for paho; raises what the real socket raises when nothing has arrived."""
        if not self._in:
            try:
                with self._lock:
                    data = self._sock.recv(READ_SIZE)
            except OSError as error:
                self.silent = self.silent or error.errno in _NOTHING_COMES_BACK
                raise
            if not data:
                return b""
            self._in += self.sorter.sort(data)
            if not self._in:
                raise BlockingIOError
        taken = bytes(self._in[:size])
        del self._in[:size]
        return taken

    def send(self, data: bytes) -> int:
        """Take the bytes; they leave at ``flush``, or now if many wait. ``BlockingIOError``: the network is behind."""
        with self._lock:
            if len(self._out) >= WRITE_LIMIT or self._waiting:
                self.flush()
                if len(self._out) >= WRITE_LIMIT or self._waiting:
                    raise BlockingIOError
            self._out += data
        return len(data)

    def close(self) -> None:
        """Write what the network takes at once (a DISCONNECT, mostly), then close."""
        with self._lock:
            self.flush()
            self._sock.close()

    def flush(self) -> bool:
        """Write what waits, as far as the network takes it; True if nothing is left. An error shows at ``recv``."""
        with self._lock:
            return self._flush()

    def _flush(self) -> bool:
        while self._gather():
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if getattr(error, "errno", None) in _TLS_WANTS_MORE:
                    return False
                # The kernel tells it only once: here or at ``recv``.
                self.silent = self.silent or error.errno in _NOTHING_COMES_BACK
                self._out.clear()
                self._waiting.clear()
                return True
            del self._out[:sent]
        return True

    def _gather(self) -> bytearray:
        while self._waiting and len(self._out) < WRITE_LIMIT:
            self._out += self._waiting.popleft()
        return self._out


_TLS_WANTS_MORE = (2, 3)
"""``SSL_ERROR_WANT_READ`` and ``SSL_ERROR_WANT_WRITE``."""
_NOTHING_COMES_BACK = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN)


class Waker:
    """Wakes the loop. The lock orders ``wake`` against ``_Reader.recv``, so no waking is lost.

    ``patient``: packets that are queued wake nobody by themselves; whoever queues many calls ``wake`` after the last.
    Woken for the first, the loop would take the interpreter's lock for each.
    """

    def __init__(self, *, patient: bool) -> None:
        self.patient = patient
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)
        self.lock = threading.Lock()
        self.rung = False

    def wake(self) -> None:
        """Have the loop write what is queued."""
        with self.lock, suppress(OSError):  # the connection may have ended just now
            if not self.rung:
                self.writer.send(b"0")
                self.rung = True


class _Reader:
    """The loop's end, with what paho uses of a socket."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker

    def fileno(self) -> int:
        return self._waker.reader.fileno()

    def recv(self, size: int) -> bytes:
        with self._waker.lock:
            data = self._waker.reader.recv(size)
            self._waker.rung = False
        return data

    def close(self) -> None:
        self._waker.reader.close()


class _Writer:
    """The publishers' end."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker

    def send(self, data: bytes) -> int:
        if not self._waker.patient:
            self._waker.wake()
        return len(data)

    def close(self) -> None:
        self._waker.writer.close()


def in_bulk(client: Any, waker: Waker, waiting: deque[bytes]) -> BulkSocket:
    """Give a paho client that has connected and not looped yet the bulk socket and the waking pair.

    The caller takes what the socket's ``sorter`` has found, and flushes the socket, after every turn of the loop. paho
    closes all of them with its own.
    """
    bulk = BulkSocket(client.socket(), waiting)
    for name, value in (("_sock", bulk), ("_sockpairR", _Reader(waker)), ("_sockpairW", _Writer(waker))):
        if not hasattr(client, name):
            raise DoorbellBug(f"this release of paho has no {name}: read doorbell/bulk.py and adapt it")
        setattr(client, name, value)
    return bulk
