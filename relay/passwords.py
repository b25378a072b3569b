"""Passwords: what one must be like, and how it is kept (argon2id, by pwdlib). The only import of pwdlib.

Whoever copies the database must find trying passwords dear; whoever signs in on a small machine must not wait, and many
who try at once must not take the machine's memory from the relay beside it. So: 32 MiB, three passes, one lane (OWASP's
least is 19 MiB and two), 0.2 s of one core of a small server, and one at a time. A hash says with what it was made, so
all of this can be raised: at the next sign-in the password is hashed anew.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from relay.texts import people as say
from relay.texts.refusal import RefusalError

MEMORY_KIB = 32 * 1024
PASSES = 3
LANES = 1
MIN_LENGTH = 12
"""NIST SP 800-63B asks for 8 and counsels 15 where nothing else protects; throttling does here."""
MAX_LENGTH = 256
"""A hash of megabytes would be a way to occupy us."""
MIN_DIFFERENT = 5
"""Different characters: 'aaaaaaaaaaaa' is no password."""
WAIT_S = 10.0
"""How long a sign-in waits for those before it."""

_COMMON = """
123456789012 1234567890123 123456789abc 0123456789ab abc123456789 qwertyuiop12 qwertyuiop123 qwertyuiopas 1qaz2wsx3edc
1q2w3e4r5t6y qazwsxedcrfv qwerty123456 password1234 passw0rd1234 password12345 password123456 administrator
adminadmin123 iloveyou1234 letmeinletmein welcome12345 woaini520520 woaini1314520 woaini521521 5201314520131
a123456789012 aa123456789aa asdfghjkl123 zxcvbnm12345 changeme1234 p@ssw0rd1234 p@ssword1234 doorbell1234 lovedoorbell
"""
COMMON = frozenset(_COMMON.split())
"""Some that are long enough and everybody's; what is all repetition or all a run is refused by itself."""
_T = TypeVar("_T")
_RUNS = ("0123456789" * 3, "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "9876543210" * 3)


class BusyError(Exception):
    """Too many passwords are being checked at this moment."""


def check_password(password: str, *own: str) -> str:
    """The password as it is hashed. ``RefusalError`` for one that is easily guessed; ``own``: login, names."""
    tidied = unicodedata.normalize("NFKC", password)
    plain = tidied.casefold()
    if len(tidied) < MIN_LENGTH:
        raise RefusalError(say.PASSWORD_SHORT, least=MIN_LENGTH)
    if len(tidied) > MAX_LENGTH:
        raise RefusalError(say.PASSWORD_LONG, most=MAX_LENGTH)
    if not tidied.isprintable():
        raise RefusalError(say.PASSWORD_UNPRINTABLE)
    repeated = any(plain == plain[:width] * (len(plain) // width) for width in range(1, len(plain) // 2 + 1))
    if plain in COMMON or len(set(plain)) < MIN_DIFFERENT or repeated or any(plain in run for run in _RUNS):
        raise RefusalError(say.PASSWORD_COMMON)
    if any(len(name) >= 2 and len(plain.replace(name.casefold(), "")) < MIN_LENGTH // 2 for name in own):
        raise RefusalError(say.PASSWORD_OWN_NAME)
    return tidied


class Passwords:
    """Hashes and checks, one at a time. ``memory_kib``, ``passes``: for tests."""

    def __init__(self, memory_kib: int = MEMORY_KIB, passes: int = PASSES, wait_s: float = WAIT_S) -> None:
        hasher = Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES)
        self._hash = PasswordHash((hasher,))
        self._wait_s = wait_s
        self._turn = threading.Lock()
        self._nobodys = self._hash.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """For the database; the salt and the parameters are in it."""
        return self._alone(lambda: self._hash.hash(password))

    def check(self, password: str, kept: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a new hash if the parameters have changed since.

        Without a hash, for an account that is not there, it takes as long. Raises ``BusyError``.
        """
        tidied = unicodedata.normalize("NFKC", password)[:MAX_LENGTH]
        try:
            right, anew = self._alone(lambda: self._hash.verify_and_update(tidied, kept or self._nobodys))
        except UnknownHashError:
            return False, None
        return (right, anew if right else None) if kept is not None else (False, None)

    def _alone(self, work: Callable[[], _T]) -> _T:
        if not self._turn.acquire(timeout=self._wait_s):
            raise BusyError
        try:
            return work()
        finally:
            self._turn.release()
