"""A line between two programs on this machine that a test can spoil: cut, dead without a word, slow, or lying."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

from tests.system.liar import HELD_S, Gossip, Lies

Place = Path | tuple[str, int]
"""A Unix socket, or a host and a port."""


class Line:
    """Listens at ``here`` and passes everything on to ``there``, both ways, while it is whole.

    ``lies``: what comes back from ``there`` is MQTT, of which not everything need be true.
    """

    def __init__(self, here: Place, there: Place, lies: Lies | None = None) -> None:
        self.delay_s = 0.0
        """Whatever arrives waits so long before it goes on."""
        self.lies = lies
        self._there = there
        self._ending = threading.Event()
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
        self._ending.set()
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
                self._run(self._pump, near, far, None)
                self._run(self._pump, far, near, Gossip(self.lies) if self.lies is not None else None)

    def _pump(self, source: socket.socket, to: socket.socket, gossip: Gossip | None) -> None:
        with suppress(OSError, ValueError):
            while True:
                if gossip is not None and gossip.holds and not select.select([source], [], [], HELD_S)[0]:
                    to.sendall(gossip.release())
                    continue
                data = source.recv(65536)
                if not data or self._closed:
                    break
                self._whole.wait()
                if self.delay_s:
                    self._ending.wait(self.delay_s)
                to.sendall(data if gossip is None else gossip.pass_on(data))
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
