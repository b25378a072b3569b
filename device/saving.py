"""What of the outbox is not on disk yet: one transaction per turn, tried again while the disk refuses.

A disk that refuses is told at once, and so is its first recovery. One that refuses again within a day must keep well
for a calm that doubles each time (``device.core.wellness``) before that is told: each word of it is two more writes on
a card that is dying, and one that fails every other time would be told of every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from device.core.effects import Effect, Forget, Keep, OutboxRow
from device.core.machine import Trouble
from device.core.wellness import CALM_S, FORGIVEN_S, MAX_CALM_S
from device.ports import OutboxStore, StoredOutbox, StoreError

STORE_RETRY_MS = 5_000
"""A disk that refused is tried again at every new event and after this long: soon enough to notice a remount."""

_log = structlog.get_logger("device.outbox")


class OutboxSaver:
    """Commits what the core keeps and forgets. What the disk refuses stays here, in memory, until it takes it.

    Bounded by the outbox itself: every row here also waits there for its receipt.
    """

    def __init__(self, store: OutboxStore) -> None:
        self._store = store
        self._keep: dict[str, OutboxRow] = {}
        self._forget: dict[str, None] = {}
        self._fresh = False
        self._failing = False
        self._failed_ms = 0
        """When it last refused."""
        self._relapses = 0
        self._well_ms: int | None = None
        """When it was last told as well."""
        self._loaded = False
        self.retry_at_ms: int | None = None
        """The monotonic ms at which ``save`` wants to be called even if nothing new was gathered."""

    def load(self, now_ms: int) -> tuple[StoredOutbox | None, Trouble | None]:
        """What lies on disk, None if it cannot be read now (``save`` will be followed by another try)."""
        try:
            stored = self._store.load()
        except StoreError as error:
            return None, self._fail(error, now_ms)
        self._loaded = True
        if stored.trouble is None:
            return stored, None
        _log.warning("outbox.set_aside", reason=stored.trouble)
        return stored, Trouble("outbox_corrupt", "disk", stored.trouble)

    @property
    def loaded(self) -> bool:
        """Whether everything that lay on disk is known."""
        return self._loaded

    def reserve(self, seq: int) -> None:
        """Have no later start number its events below this. A disk that refuses is told of by ``save``."""
        try:
            self._store.reserve(seq)
        except StoreError as error:
            _log.warning("outbox.not_reserved", reason=str(error))

    def gather(self, effects: Iterable[Effect]) -> None:
        """Remember what these effects want on the disk, for the next ``save``."""
        for effect in effects:
            match effect:
                case Keep(row):
                    self._fresh, self._keep[row.id] = True, row
                case Forget(ids):
                    self._fresh = True
                    for one in ids:  # also what is not there yet: a commit that came to no end may have put it there
                        self._keep.pop(one, None)
                        self._forget[one] = None
                case _:
                    pass

    def save(self, now_ms: int) -> Trouble | None:
        """Write what was gathered, if there is anything new or a retry is due. Tells when it begins or ends to fail."""
        due = self.retry_at_ms is not None and now_ms >= self.retry_at_ms
        if not self._fresh and not due:
            return None
        self._fresh = False
        try:
            self._store.commit(tuple(self._keep.values()), tuple(self._forget))
        except StoreError as error:
            return self._fail(error, now_ms)
        for row in self._keep.values():
            _log.info("event.kept", id=row.id, type=row.type.value, seq=row.seq)
        self._keep.clear()
        self._forget.clear()
        self.retry_at_ms = None
        if not self._failing:
            return None
        if now_ms < (well_at_ms := self._failed_ms + self._calm_ms()):
            self.retry_at_ms = well_at_ms
            return None
        self._failing, self._well_ms = False, now_ms
        self.retry_at_ms = now_ms  # the next turn writes the news of it, which the core is about to make
        _log.info("outbox.works_again")
        return Trouble("outbox_failed", "disk", cleared=True)

    def _calm_ms(self) -> int:
        """For how long it must not have refused. What lies on it unread is fetched at the first chance."""
        if not self._relapses or not self._loaded:
            return 0
        return min(CALM_S << min(self._relapses - 1, 16), MAX_CALM_S) * 1000

    def _fail(self, error: StoreError, now_ms: int) -> Trouble | None:
        self._failed_ms, self.retry_at_ms = now_ms, now_ms + STORE_RETRY_MS
        if self._failing:
            return None
        self._failing = True
        forgiven = self._well_ms is None or now_ms - self._well_ms >= FORGIVEN_S * 1000
        self._relapses = 0 if forgiven else self._relapses + 1
        _log.warning("outbox.failed", reason=str(error))
        return Trouble("outbox_failed", "disk", str(error))
