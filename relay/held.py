"""What this relay may serve now: everything, where it owns the database by its lock, or what it has leased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Held:
    """The communities whose alarms are in memory and may be changed, with the fencing numbers that say so.

    ``Held(everything=True)`` is the one relay on its own database: nothing is fenced and nothing expires.
    """

    def __init__(self, *, everything: bool = False) -> None:
        self.everything = everything
        self.sure_until_ms = 0
        """Until then nobody can have taken anything, by this relay's monotonic clock."""
        self._fences: dict[str, int] = {}

    def __contains__(self, community: object) -> bool:
        return self.everything or community in self._fences

    @property
    def fences(self) -> Mapping[str, int]:
        """All fencing numbers, by community; empty where nothing is fenced."""
        return self._fences

    def put(self, community: str, fence: int) -> None:
        """A community's state is in memory, as it was committed under this number or an earlier one."""
        self._fences[community] = fence

    def drop(self, communities: Iterable[str]) -> None:
        """Serve these no more."""
        for community in communities:
            self._fences.pop(community, None)

    def fences_of(self, communities: Iterable[str]) -> dict[str, int]:
        """The numbers to be checked with a write about these communities."""
        return {} if self.everything else {community: self._fences[community] for community in communities}

    def sure(self, now_ms: int) -> bool:
        """Whether what is said now is certainly still ours to say. The database needs no such doubt: it checks."""
        return self.everything or now_ms < self.sure_until_ms
