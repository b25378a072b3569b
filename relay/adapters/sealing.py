"""Sealing: what tells of a person is encrypted and bound to its place before it goes into the database.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits: one key may seal 2^32 values, and is to be replaced long
before (``doorbell-relay privacy key rotate``). What is sealed for one row cannot be opened in another: the place is
authenticated with it. The key is in a file (``relay.privacy_key``) that no back-up holds.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doorbell.errors import SetupError
from relay.privacy_key import ID_BYTES, KEY_FILE_VARIABLE, PrivacyKey, give_like, key_id, make_keys, read_keys

NONCE_BYTES = 12
_HEAD = ID_BYTES + NONCE_BYTES


class UnsealError(ValueError):
    """What stands there was not sealed for this place with a key that is here: damaged, moved, or written by hand."""


class Seal:
    """The keys of a file. ``prepare`` reads it; before that nothing can be sealed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._ciphers: dict[bytes, AESGCM] = {}
        self._newest = b""

    @classmethod
    def beside(cls, database: object) -> Seal:
        """The keys that the environment names, or else those of a file beside an SQLite database."""
        named = os.environ.get(KEY_FILE_VARIABLE)
        if named:
            return cls(Path(named).absolute())
        if isinstance(database, Path) or (isinstance(database, str) and "://" not in database):
            return cls(Path(f"{database}.key"))
        raise SetupError(f"name the file of the privacy key in {KEY_FILE_VARIABLE}")

    def prepare(self, needed: str | None, database: object = None) -> None:
        """Read the keys. ``needed``: the id of the one that the database is sealed with; None if it is not yet.

        Without that one nothing is opened (``SetupError`` says which is missing, and where it has to be); a database
        that is not sealed yet may have its key made. Made by root, it belongs to whoever owns the file ``database``: a
        technician imports the register before the relay has run.
        """
        try:
            made = needed is None and not self.file.exists()
            keys = make_keys(self.file) if needed is None else read_keys(self.file)
            if made and isinstance(database, (str, Path)) and Path(database).is_file():
                give_like(self.file, Path(database))
        except FileNotFoundError:
            raise SetupError(
                f"the database is sealed with the privacy key {needed}, and its file {self.file} is not there: put the "
                "copy of it back that was put away. Without it no name, telephone number or address can be read"
            ) from None
        ids = [key.id for key in keys]
        if needed is not None and needed not in ids:
            raise SetupError(
                f"the database is sealed with the privacy key {needed}, which {self.file} does not hold (it has "
                f"{' '.join(ids)}): add the line of that key from the copy that was put away"
            )
        self.use(keys)

    def use(self, keys: Sequence[PrivacyKey]) -> None:
        """Open with any of these keys, and seal with the last."""
        self._ciphers = {key_id(key.secret): AESGCM(key.secret) for key in keys}
        self._newest = key_id(keys[-1].secret)

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return self._newest.hex()

    def close(self, where: str, plain: bytes) -> bytes:
        """Seal for the place ``where``, which only has to be the same at the opening."""
        nonce = os.urandom(NONCE_BYTES)
        newest = self._newest
        return newest + nonce + self._ciphers[newest].encrypt(nonce, plain, where.encode())

    def open(self, where: str, sealed: bytes) -> bytes:
        """What was sealed for that place. ``UnsealError`` if it was not."""
        cipher = self._ciphers.get(sealed[:ID_BYTES])
        if cipher is None:
            raise UnsealError(where)
        try:
            return cipher.decrypt(sealed[ID_BYTES:_HEAD], sealed[_HEAD:], where.encode())
        except (InvalidTag, ValueError):
            raise UnsealError(where) from None

    def close_text(self, where: str, plain: str) -> str:
        """The same for a column of text; nothing stays nothing."""
        return base64.b64encode(self.close(where, plain.encode())).decode() if plain else ""

    def open_text(self, where: str, sealed: str) -> str:
        """What ``close_text`` has sealed for that place. ``UnsealError`` if it has not."""
        if not sealed:
            return ""
        try:
            raw = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise UnsealError(where) from None
        return self.open(where, raw).decode()

    def open_text_or(self, fallback: str, where: str, sealed: str) -> str:
        """What was sealed, or the fallback where it cannot be opened: a bell must ring, even without a name."""
        try:
            return self.open_text(where, sealed)
        except UnsealError:
            return fallback
