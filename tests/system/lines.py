"""A line between two programs on this machine that a test can cut: refused at once, or dead without a word."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

Place = Path | tuple[str, int]
"""A Unix socket, or a host and a port."""


class Line:
    """Listens at ``here`` and passes everything on to ``there``, both ways, while it is whole."""

    def __init__(self, here: Place, there: Place) -> None:
        self._there = there
        self._whole = threading.Event()
        self._whole.set()
        self._closed = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = _socket(here)
        self._listener.bind(_address(here))
        self._listener.listen()
        self._run(self._accept)

    @property
    def port(self) -> int:
        """Where it listens, if that is a port."""
        return int(self._listener.getsockname()[1])

    def go_dead(self) -> None:
        """From now on nothing arrives at either end, and neither is told: what is sent waits."""
        self._whole.clear()

    def cut(self) -> None:
        """End every connection; new ones are possible."""
        for sock in [*self._sockets]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """What waited goes on."""
        self._whole.set()

    def close(self) -> None:
        """End it all."""
        self._closed = True
        self._whole.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10.0)
        for sock in self._sockets:
            sock.close()

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._sockets.append(near)
                self._whole.wait()
                far = _socket(self._there)
                self._sockets.append(far)
                try:
                    far.connect(_address(self._there))
                except OSError:
                    near.shutdown(socket.SHUT_RDWR)
                    continue
                self._run(self._pump, near, far)
                self._run(self._pump, far, near)

    def _pump(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not self._closed:
                self._whole.wait()
                to.sendall(data)
        for sock in (source, to):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _socket(place: Place) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET)
    if not isinstance(place, Path):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _address(place: Place) -> str | tuple[str, int]:
    return str(place) if isinstance(place, Path) else place
