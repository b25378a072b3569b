"""The privacy key's file: 256 random bits for each key, the newest last. Without it no name in a database can be read.

One key a line: its id, its 64 hexadecimal digits, the day on which it was made. The id is the beginning of the key's
SHA-256, so that a digit that was copied wrongly from paper is noticed. Lines that begin with ``#`` are for people.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

from doorbell.errors import SetupError
from doorbell.folders import sync_folder
from relay.whole_files import write_whole

KEY_BYTES = 32
ID_BYTES = 4
MAX_KEYS = 1_000
KEY_FILE_VARIABLE = "DOORBELL_RELAY_KEY_FILE"
"""In the environment: in the place of ``[privacy] key_file``."""
HEAD = """\
# 爱心门铃的隐私密钥：没有它，数据库和备份里的姓名、电话、住址都无法读出，谁也帮不了您。
# 请抄一份放在别处（例如打印后锁进柜子），不要和数据库备份放在一起，也不要给别人看。最后一行是现用的密钥。
# Privacy keys of the Love Doorbell: without them nobody can ever read the names, telephone numbers and addresses in the
# database and its back-ups. Keep a copy elsewhere (on paper, under lock), never beside a back-up, and show it to no
# one. The last line is the key in use.
"""


@dataclass(frozen=True, slots=True)
class PrivacyKey:
    """One key. Its representation shows the id alone."""

    secret: bytes
    made: date

    @property
    def id(self) -> str:
        """Eight hexadecimal digits: the beginning of its SHA-256."""
        return key_id(self.secret).hex()

    def __repr__(self) -> str:
        return f"PrivacyKey({self.id}, {self.made})"


def key_id(secret: bytes) -> bytes:
    """The id of a key, as it stands in whatever was sealed with it."""
    return sha256(secret).digest()[:ID_BYTES]


def new_key() -> PrivacyKey:
    """A key that nobody has had before."""
    return PrivacyKey(secrets.token_bytes(KEY_BYTES), datetime.now(UTC).date())


def parse_keys(text: str) -> tuple[PrivacyKey, ...]:
    """The keys in a file, oldest first. ``ValueError`` says which line is wrong, and never what is in it."""
    keys: list[PrivacyKey] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, digits, made = words
            key = PrivacyKey(bytes.fromhex(digits), date.fromisoformat(made))
        except ValueError:
            raise ValueError(f"line {number}: not ID KEY DATE") from None
        if len(key.secret) != KEY_BYTES or key.id != name.lower():
            raise ValueError(f"line {number}: a digit is wrong: the key does not fit its id")
        keys.append(key)
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ValueError("no key in it" if not keys else f"more than {MAX_KEYS} keys")
    return tuple(keys)


def format_keys(keys: Sequence[PrivacyKey]) -> str:
    """The file with these keys, the one in use last."""
    return HEAD + "".join(f"{key.id} {key.secret.hex()} {key.made.isoformat()}\n" for key in keys)


def read_keys(path: Path) -> tuple[PrivacyKey, ...]:
    """The keys in a file that only its owner may read; ``FileNotFoundError`` if there is none.

    ``SetupError`` if it cannot be read, is damaged, or everybody on the machine can read it.
    """
    try:
        if path.stat().st_mode & 0o007:
            raise SetupError(f"{path}: everybody on this machine can read the privacy key: chmod 600 {path}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: the privacy key cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        return parse_keys(text)
    except ValueError as error:
        raise SetupError(f"{path}: the privacy key is damaged: {error}: put the copy of this file back") from None


def make_keys(path: Path) -> tuple[PrivacyKey, ...]:
    """The keys in a file, which is made with a new one if it is not there. ``SetupError`` if it cannot be made.

    Two programs that start at once end with the same key: whoever comes second reads what the first has made.
    """
    with suppress(FileNotFoundError):
        return read_keys(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_whole(part, format_keys([new_key()]).encode())
        with suppress(FileExistsError):
            path.hardlink_to(part)
        part.unlink()
    except OSError as error:
        raise SetupError(f"{path}: the privacy key cannot be made: {error.strerror}") from None
    return read_keys(path)


def give_like(path: Path, other: Path) -> None:
    """Let what root has made belong to whoever owns another file."""
    owner = other.stat()
    if os.geteuid() == 0 and path.stat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def write_keys(path: Path, keys: Sequence[PrivacyKey]) -> None:
    """Put these keys into the file, whole or not at all. ``SetupError`` if it cannot be written."""
    try:
        owned = path if path.exists() else None
        part = path.with_name(f".{path.name}.new")
        write_whole(part, format_keys(keys).encode())
        if owned is not None:
            give_like(part, owned)
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise SetupError(f"{path}: the privacy key cannot be written: {error.strerror}") from None
