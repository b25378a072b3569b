"""Our certificates on the disk, and the key that we make ourselves: the ``IdentityPapers`` of a real device.

In ``identity`` of the state directory, each whole or not there and readable by us alone: ``asked.pem`` (a new key and
its request), ``next.pem`` (that key and its certificate), ``current.pem`` (the identity in use, once there was a
renewal). What the settings name is only read. docs/adr/0015.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from device.core.renewal import KeyMade, Papers
from doorbell.certificates import read_identity_number, read_validities
from doorbell.folders import sync_folder
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.wire import certificate_mark

FOLDER = "identity"
ASKED, NEXT, CURRENT = "asked.pem", "next.pem", "current.pem"
OPENSSL = ("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256")
_PLAINLY = ("-batch", "-config", "/dev/null", "-keyout", "/dev/stdout", "-out", "/dev/stdout")
OPENSSL_S = 60.0
"""A Pi needs a tenth of a second; one that waits for chance after a boot, a few."""
TRIES_WITH_ONE = 4
"""So many tries in vain with one certificate, and then with another, where there are several: one of them may have
ended, and which, a device without a clock does not know."""

_WHAT = "PRIVATE KEY"
_KEY = re.compile(rf"-----BEGIN {_WHAT}-----.+?-----END {_WHAT}-----\n", re.DOTALL)
_REQUEST = re.compile(r"-----BEGIN CERTIFICATE REQUEST-----.+?-----END CERTIFICATE REQUEST-----\n", re.DOTALL)
_log = structlog.get_logger("device.identity")


class IdentityFolder:
    """``state_dir``: where the folder is. ``own``: the certificate that the settings name, None without one.

    ``device``: our id, the name in a request. ``sink``: takes the ``KeyMade``, on a thread of this class.
    ``reconnect``: has the link leave the broker. ``openssl``: the command that makes a key and a request.
    """

    def __init__(
        self,
        state_dir: Path,
        own: TlsSettings | None,
        device: str,
        *,
        sink: Callable[[KeyMade], None],
        reconnect: Callable[[str], None],
        openssl: Sequence[str] = OPENSSL,
    ) -> None:
        self._folder = state_dir / FOLDER
        self._own = None if own is None else own.certificate
        self._device = device
        self._sink = sink
        self._reconnect = reconnect
        self._openssl = tuple(openssl)
        self._papers: tuple[Papers | None] | None = None
        self._try_next = False
        self._tries = 0

    def papers(self) -> Papers | None:
        """What lies on the disk now, remembered between two changes; None without a certificate of our authority."""
        papers = self._papers
        if papers is None:  # the thread that makes a key forgets them at any moment
            self._papers = papers = (self._read(),)
        return papers[0]

    def is_next(self, certificate: Path | None) -> bool:
        """Whether a connection that has shown this file has shown the next certificate."""
        self._tries = 0
        return certificate == self._folder / NEXT

    def make_key(self) -> None:
        """Begin to make a key and a request; a ``KeyMade`` comes to the sink."""
        threading.Thread(target=self._make, name="new-key", daemon=True).start()

    def take(self, certificate: str) -> bool:
        """Put this beside the new key; False if it is for another key, or cannot be kept."""
        try:
            key = _KEY.search((self._folder / ASKED).read_text("ascii"))
            if key is None:
                return False
            trial = self._folder / f".{NEXT}.part"
            _write_new(trial, (key[0] + certificate).encode("ascii"))
            if not _usable(trial) or not self._is_ours(trial):
                trial.unlink()
                return False
            trial.replace(self._folder / NEXT)
            (self._folder / ASKED).unlink()
            sync_folder(self._folder)
        except (OSError, ValueError) as error:
            _log.warning("identity.not_kept", reason=str(error))
            return False
        finally:
            self._papers = None
        return True

    def try_next(self) -> None:
        """Have the link leave the broker, and come back once with the next certificate."""
        self._try_next = True
        self._reconnect("to come back with a new certificate")

    def adopt(self) -> bool:
        """The next certificate is the one in use; False if the disk refuses."""
        self._papers = None
        try:
            (self._folder / NEXT).replace(self._folder / CURRENT)
            sync_folder(self._folder)
        except OSError as error:
            _log.warning("identity.not_adopted", reason=error.strerror)
            return False
        return True

    def shown(self, broker: MqttSettings) -> MqttSettings:
        """The same broker with the certificate that it is to be shown now. Asked on the link's thread, at every try."""
        if broker.tls is None or broker.tls.certificate is None:
            return broker
        known = [file for file in (self._folder / CURRENT, self._folder / NEXT) if _suits(file, broker.tls.certificate)]
        ways: list[Path | None] = [*known, None]
        if known[:1] == [self._folder / NEXT]:
            ways = [None, *known]  # nothing was renewed before: what the settings name comes first
        way = ways[self._tries // TRIES_WITH_ONE % len(ways)]
        if self._try_next and self._folder / NEXT in known:
            way = self._folder / NEXT
        else:
            self._tries += 1
        self._try_next = False
        return broker if way is None else _with(broker, way)

    # -----------------------------------------------------------------------------------------------------------------

    def _read(self) -> Papers | None:
        if self._own is None or read_identity_number(self._own) is None:
            return None
        current = self._folder / CURRENT
        in_use = current if _suits(current, self._own) else self._own
        try:
            text = in_use.read_text("ascii", "replace")
            (validity, *_), mark = read_validities(in_use), certificate_mark(text)
        except (OSError, ValueError):
            return None
        papers = Papers(validity.not_before, validity.not_after, mark or "")
        if _suits(self._folder / NEXT, in_use):
            return replace(papers, ready=True)
        with suppress(OSError):
            asked = (self._folder / ASKED).read_text("ascii", "replace")
            if _KEY.search(asked) is not None and (request := _REQUEST.search(asked)) is not None:
                return replace(papers, request=request[0])
        return papers

    def _is_ours(self, file: Path) -> bool:
        return self._own is not None and _suits(file, self._own)

    def _make(self) -> None:
        try:
            failure = self._made()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            failure = str(error)
        self._papers = None
        self._sink(KeyMade(failure))

    def _made(self) -> str | None:
        command = [*self._openssl, "-subj", f"/CN={self._device}", *_PLAINLY]
        done = subprocess.run(command, capture_output=True, timeout=OPENSSL_S, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            return f"{command[0]} ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}"
        told = done.stdout.decode("ascii")
        key, request = _KEY.search(told), _REQUEST.search(told)
        if key is None or request is None:
            return f"{command[0]} gave no key and request"
        self._folder.mkdir(0o700, exist_ok=True)
        part = self._folder / f".{ASKED}.part"
        _write_new(part, (key[0] + request[0]).encode("ascii"))
        part.replace(self._folder / ASKED)
        sync_folder(self._folder)
        return None


def in_use(tls: TlsSettings, state_dir: Path) -> TlsSettings:
    """The certificate that a device shows now, beside the daemon: for the doctor."""
    current = state_dir / FOLDER / CURRENT
    if tls.certificate is None or not _suits(current, tls.certificate):
        return tls
    return tls.model_copy(update={"certificate": current, "key": None})


def _with(broker: MqttSettings, file: Path) -> MqttSettings:
    if broker.tls is None:
        return broker
    return broker.model_copy(update={"tls": broker.tls.model_copy(update={"certificate": file, "key": None})})


def _suits(file: Path, other: Path) -> bool:
    """Whether it is a certificate of the same identity that ends later, and can be used."""
    number = read_identity_number(file)
    if number is None or number != read_identity_number(other) or not _usable(file):
        return False
    with suppress(OSError, IndexError):
        return read_validities(file)[0].not_after > read_validities(other)[0].not_after
    return False


def _usable(file: Path) -> bool:
    """Whether key and certificate fit each other."""
    try:
        # A passphrase would be asked at the terminal, where nobody is.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, password=lambda: b"")
    except (OSError, ssl.SSLError):
        return False
    return True


def _write_new(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
