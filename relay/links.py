"""Personal links: signed by this machine's secret, good for one purpose, until a time, once. The only itsdangerous.

The signature keeps strangers from asking the database for ids; what a link may do, for whom and until when, is in the
database, so that a link can be taken back and used once.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from doorbell.errors import SetupError
from relay.people import Link, LinkPurpose

LASTS: Mapping[LinkPurpose, timedelta] = {
    LinkPurpose.SET_PASSWORD: timedelta(hours=72),
    LinkPurpose.SIGN_IN: timedelta(hours=24),
}
"""A weekend must fit between making a link for a new volunteer and its use; signing in by one is for today."""
MAX_TOKEN = 400
SECRET_BYTES = 32
MIN_SECRET = 32
"""Characters of a secret that somebody has made otherwise."""


def read_secret(path: Path) -> bytes:
    """This machine's secret; made, for its owner alone, if it is not there. ``SetupError`` if that cannot be.

    Made by root, it belongs to whoever owns the folder: the pages run under an account of their own.
    """
    try:
        if not path.exists():
            _make_secret(path)
        found = path.read_bytes().strip()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from None
    if len(found) < MIN_SECRET:
        raise SetupError(f"{path}: a secret has at least {MIN_SECRET} characters: delete it, and it is made")
    return found


def _make_secret(path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"{secrets.token_hex(SECRET_BYTES)}\n".encode("ascii"))
        owner = path.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(part, path)  # whoever comes first has made it
    except FileExistsError:
        pass
    finally:
        part.unlink()


class Signer:
    """Makes and reads what this machine has signed. ``purpose`` keeps one kind from passing for another."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, purpose: str, value: Any) -> str:
        """A text that fits into a URL and a cookie."""
        return str(self._serializer(purpose).dumps(value))

    def read(self, purpose: str, token: str, lasts: timedelta) -> Any | None:
        """What was signed for this purpose; None for anything else, or if it is older than ``lasts``."""
        if len(token) > MAX_TOKEN:
            return None
        try:
            return self._serializer(purpose).loads(token, max_age=int(lasts.total_seconds()))
        except BadSignature:
            return None

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._secret, salt=f"love-doorbell/{purpose}", signer_kwargs={"digest_method": sha256}
        )


def make_link(signer: Signer, account: str, purpose: LinkPurpose, now: datetime) -> tuple[Link, str]:
    """A link for the database, and its token for the person."""
    nonce = secrets.token_urlsafe(18)
    link = Link(link_id(nonce), account, purpose, now + LASTS[purpose])
    return link, signer.sign(f"link/{purpose.value}", nonce)


def read_link(signer: Signer, purpose: LinkPurpose, token: str) -> str | None:
    """The id of the link of a token, if we have signed it for this purpose."""
    nonce = signer.read(f"link/{purpose.value}", token, LASTS[purpose])
    return link_id(nonce) if isinstance(nonce, str) else None


def link_id(nonce: str) -> str:
    """What the database has of a link: nobody who reads it can make the link of it."""
    return sha256(nonce.encode()).hexdigest()
