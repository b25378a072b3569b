"""How often somebody may try to sign in: slower and slower for strangers, never a locked door for the office.

Whoever tries passwords for a login is slowed down at that login, whatever the address; whoever tries many logins is
slowed down at their address. A browser that has signed in to an account before carries a signed cookie and has a count
of its own, so a stranger who tries that login does not keep its owner out. Nothing is ever locked: past the first tries
one each half minute is let through. In memory: the pages are one process, and a restart gives a stranger ten tries.
"""

from __future__ import annotations

import threading
import time
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

LOGIN_TRIES: RateLimitItem = RateLimitItemPerMinute(10, 15)
"""Wrong passwords for one login in a quarter of an hour, from all strangers together; and from one known browser."""
ADDRESS_TRIES: RateLimitItem = RateLimitItemPerMinute(30, 15)
"""From one address: a whole office may be behind one, and its browsers are known after the first day."""
SLOW: RateLimitItem = RateLimitItemPerSecond(1, 30)
"""What is let through after that."""
FAILURE_LINES: RateLimitItem = RateLimitItemPerHour(120)
"""Audit lines about failures: strangers must not fill the log, nor keep the database's disk busy."""
NETWORK_BITS = 64
"""Of an IPv6 address: the rest is whatever a machine likes."""


class SignInThrottle:
    """Counts failed tries. One for the process; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._unwritten = 0

    def wait_s(self, login: str, address: str, known: str | None) -> int:
        """How long this try has to wait; 0: go on. A try that may go on counts until ``forgive`` takes it back.

        ``known``: names a browser that has signed in to this account before.
        """
        with self._lock:
            keys = self._keys(login, address, known)
            waits = [wait for limit, key in keys if (wait := self._wait(limit, key))]
            if waits:
                return max(waits)
            for limit, key in keys:
                if not self._limiter.hit(limit, *key):
                    self._limiter.hit(SLOW, *key)
            return 0

    def forgive(self, login: str, address: str, known: str | None) -> None:
        """The password was right: nobody is counted who knows it. The address's other failures stay."""
        with self._lock:
            for limit, key in self._keys(login, address, known):
                if key[0] != "address":
                    self._limiter.clear(limit, *key)
                    self._limiter.clear(SLOW, *key)

    def may_write(self) -> int | None:
        """Whether a failure gets a line in the audit log: the number of those before that got none; None: not now."""
        with self._lock:
            if not self._limiter.hit(FAILURE_LINES, "lines"):
                self._unwritten += 1
                return None
            before, self._unwritten = self._unwritten, 0
            return before

    def _keys(self, login: str, address: str, known: str | None) -> list[tuple[RateLimitItem, tuple[str, str]]]:
        if known is not None:
            return [(LOGIN_TRIES, ("known", f"{login} {known}"))]
        return [(LOGIN_TRIES, ("login", login)), (ADDRESS_TRIES, ("address", network_of(address)))]

    def _wait(self, limit: RateLimitItem, key: tuple[str, str]) -> int:
        if self._limiter.test(limit, *key) or self._limiter.test(SLOW, *key):
            return 0
        free_at = min(self._limiter.get_window_stats(one, *key).reset_time for one in (limit, SLOW))
        return max(1, round(free_at - time.time()))


def network_of(address: str) -> str:
    """What is counted as one address."""
    try:
        found = ip_address(address)
    except ValueError:
        return "?"
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((found, NETWORK_BITS), strict=False))
