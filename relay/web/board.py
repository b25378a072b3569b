"""How far each device is, for the pages. Each look reads on from where the last one ended, and the first reads all."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relay.audit import AuditSearch, AuditWord
from relay.core.register import Device, Register
from relay.installation import Installation, Installations, InstallStage
from relay.people_store import PagesStore
from relay.texts import Text
from relay.texts import provisioning as say


@dataclass(frozen=True, slots=True)
class Progress:
    """One device, as a page tells of it."""

    device: Device
    found: Installation
    may_come_in: bool
    """False until it has an identity, and again once that was taken back."""

    @property
    def word(self) -> Text:
        """How far it is."""
        return say.stage_word(self.found, self.may_come_in)

    @property
    def installed(self) -> bool:
        """Whether nothing is left to do."""
        return self.may_come_in and self.found.stage is InstallStage.INSTALLED

    @property
    def since(self) -> datetime | None:
        """When it came that far, if that is known."""
        return self.found.since if self.may_come_in else None

    @property
    def steps(self) -> list[tuple[Text, bool, datetime | None]]:
        """All steps in their order: whether each is done, and when it was."""
        done = dict(self.found.steps) if self.may_come_in else {}
        return [(say.STAGES[stage], stage in done, done.get(stage)) for stage in InstallStage]

    @property
    def next(self) -> tuple[Text, dict[str, Any]]:
        """What is next."""
        return say.next_step(self.found, self.device.role, self.may_come_in)


class Board:
    """One for the process, for any number of threads.

    Since when a device has its present identity is what the audit log says (``identity_issued``): the authority's own
    list lies beside its keys, and the pages have no business there. Where it tells of no identity at all, they are made
    on a machine without this database, and every device counts as made; so does one that has ever come in.
    """

    def __init__(self, store: PagesStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._audited = 0
        self._made_at: dict[str, datetime] = {}
        self._out: set[str] = set()
        self._found = Installations(Register())

    def of(self, register: Register, devices: Iterable[Device]) -> dict[str, Progress]:
        """How far these are now, by id."""
        with self._lock:
            if self._read_identities() or self._found.register is not register:
                self._found = Installations(register, dict(self._made_at))
            self._found.read(self._store)
            found = {one.id: (one, self._found.of(one.id)) for one in devices}
            return {id_: Progress(one, how, self._has_identity(one, how)) for id_, (one, how) in found.items()}

    def _has_identity(self, device: Device, found: Installation) -> bool:
        if device.id in self._out:
            return False
        return not self._made_at or device.id in self._made_at or found.registered_at is not None

    def _read_identities(self) -> bool:
        """What is new of who was given an identity and whose was taken back; whether anybody was given one."""
        audit, after = self._store.audit, self._audited
        through = audit.head().seq
        words = (AuditWord.IDENTITY_ISSUED, AuditWord.IDENTITY_REVOKED)
        new = [line for word in words for line in audit.lines(AuditSearch(what=word, after_seq=after))]
        for line in sorted(new, key=lambda one: one.seq):
            if line.device is None:
                continue
            if line.what == AuditWord.IDENTITY_ISSUED:
                self._made_at[line.device] = datetime.fromtimestamp(line.at_ms / 1000, UTC)
                self._out.discard(line.device)
            else:
                self._out.add(line.device)
        self._audited = through
        return any(line.what == AuditWord.IDENTITY_ISSUED for line in new)
