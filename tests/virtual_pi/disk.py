"""The panel's state disk: a file that QEMU writes, or a disk with a volatile cache that forgets what was not flushed.

``VolatileDisk`` speaks just enough of the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md, "fixed
newstyle") for QEMU. Like a card's controller it keeps what is written in its cache until a flush. At a cut each page
of 4 KiB that was not flushed survives by a coin, so later writes can survive earlier ones. A page is the atom, as in
flash: torn inside, ext4's superblock would be lost with its checksum, whatever a program above it does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any, Protocol

PAGE = 4096
SIZE = 48 << 20
LABEL = "state"

_OPTION_MAGIC = 0x49484156454F5054
_REPLY_MAGIC = 0x3E889045565A9
_REQUEST_MAGIC, _ANSWER_MAGIC = 0x25609513, 0x67446698
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_GO, _ABORT = 7, 2
_ACK, _INFO, _UNSUPPORTED = 1, 3, (1 << 31) + 1
_HAS_FLAGS, _CAN_FLUSH, _CAN_FUA = 1, 4, 8
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_FUA = 1
_BLOCK_SIZES, _MAX_BLOCK = 3, 32 << 20


class StateDisk(Protocol):
    """A disk that can be plugged in, and whose power can fail with the machine's."""

    image: Path
    """What survives."""

    def node(self) -> dict[str, Any]:
        """How QEMU finds its content."""

    def fail(self) -> None:
        """The power fails, before the machine notices."""

    def settle(self) -> str:
        """After the machine is gone: what is lost is lost now. Tells how much."""


class FileDisk:
    """A file behind QEMU's ``cache=writeback``: a cut loses what the guest's kernel had not written."""

    def __init__(self, image: Path) -> None:
        self.image = image

    def node(self) -> dict[str, Any]:
        return {"driver": "file", "filename": str(self.image)}

    def fail(self) -> None:
        """Nothing of its own is lost."""

    def settle(self) -> str:
        return "-"


class VolatileDisk:
    """Serves ``image`` on a Unix socket beside it until ``settle``. ``refusing``: every write fails: a worn card."""

    def __init__(self, image: Path, coin: random.Random) -> None:
        self.image = image
        self.refusing = False
        self.failed = threading.Event()
        """The power has failed."""
        self._left: int | None = None
        self._coin = coin
        self._cache: dict[int, bytes] = {}
        self._lock = threading.Lock()
        self._file = os.open(image, os.O_RDWR)
        self._path = image.with_suffix(".nbd")
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, name="volatile-disk", daemon=True)
        self._thread.start()

    def node(self) -> dict[str, Any]:
        return {"driver": "nbd", "server": {"type": "unix", "path": str(self._path)}}

    def fail(self) -> None:
        with self._lock:
            self.failed.set()

    def fail_at(self, request: int) -> None:
        """Let the power fail when so many more writes and flushes have come, before the last of them is done."""
        with self._lock:
            self._left = request

    def settle(self) -> str:
        self.fail()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10.0)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        kept = 0
        for page, content in self._cache.items():
            if self._coin.random() < 0.5:
                os.pwrite(self._file, content, page * PAGE)
                kept += 1
        os.close(self._file)
        return f"{len(self._cache) - kept} of {len(self._cache)}"

    # -----------------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self.failed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                if self._shake_hands(connection):
                    while self._serve_request(connection):
                        pass

    def _shake_hands(self, connection: socket.socket) -> bool:
        connection.sendall(struct.pack(">8sQH", b"NBDMAGIC", _OPTION_MAGIC, _FIXED_NEWSTYLE | _NO_ZEROES))
        _exactly(connection, 4)
        while True:
            _, option, size = struct.unpack(">QII", _exactly(connection, 16))
            _exactly(connection, size)
            if option == _GO:
                flags = _HAS_FLAGS | _CAN_FLUSH | _CAN_FUA
                info = struct.pack(">HQH", 0, os.fstat(self._file).st_size, flags)
                connection.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, _INFO, len(info)) + info)
                sizes = struct.pack(">HIII", _BLOCK_SIZES, PAGE, PAGE, _MAX_BLOCK)
                connection.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, _INFO, len(sizes)) + sizes)
            known = option in (_GO, _ABORT)
            connection.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, _ACK if known else _UNSUPPORTED, 0))
            if known:
                return bool(option == _GO)

    def _serve_request(self, connection: socket.socket) -> bool:
        magic, flags, kind, handle, offset, size = struct.unpack(">IHHQQI", _exactly(connection, 28))
        if magic != _REQUEST_MAGIC or kind == _DISCONNECT:
            return False
        content = _exactly(connection, size) if kind == _WRITE else b""
        with self._lock:
            if kind in (_WRITE, _FLUSH) and self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self.failed.set()
            if self.failed.is_set():
                return False
            error, answer = self._do(kind, offset, size, content, durable=bool(flags & _FUA))
        connection.sendall(struct.pack(">IIQ", _ANSWER_MAGIC, error, handle) + answer)
        return True

    def _do(self, kind: int, offset: int, size: int, content: bytes, *, durable: bool) -> tuple[int, bytes]:
        if kind == _READ:
            found = bytearray(os.pread(self._file, size, offset))
            for start in range(0, size, PAGE):
                if (cached := self._cache.get((offset + start) // PAGE)) is not None:
                    found[start : start + PAGE] = cached
            return 0, bytes(found)
        if self.refusing:
            return errno.EIO, b""
        if kind == _WRITE:
            for start in range(0, size, PAGE):
                self._cache[(offset + start) // PAGE] = content[start : start + PAGE]
        elif kind != _FLUSH:
            return errno.EINVAL, b""
        if kind == _FLUSH or durable:
            # A flush for one write may flush all: more than asked is allowed.
            for page, cached in self._cache.items():
                os.pwrite(self._file, cached, page * PAGE)
            self._cache.clear()
        return 0, b""


def make_state_disk(path: Path) -> None:
    """An empty ext4 of ``SIZE`` bytes, labelled as the machine expects it."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", "-b", str(PAGE), "-L", LABEL, "-m", "0", str(path)], check=True)


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ConnectionError("the machine is gone")
        content += part
    return content
