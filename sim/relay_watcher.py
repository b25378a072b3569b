"""Who looks at everything that a relay of the village does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from relay.core.register import Hook
from relay.ports import Batch, NoticeRow

if TYPE_CHECKING:
    from sim.relay_machine import RelayMachine


class RelayWatcher(Protocol):
    """The checks and the trail."""

    def relay_committed(self, machine: RelayMachine, batch: Batch) -> None:
        """A turn is in the database."""
        ...

    def relay_published(self, machine: RelayMachine, topic: str, payload: bytes) -> None:
        """A desired state leaves the relay."""
        ...

    def hook_told(self, notice: NoticeRow, hook: Hook) -> None:
        """A hook was told successfully."""
        ...
