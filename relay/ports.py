"""What the relay's shell needs of the world, as Protocols, and the rows that it hands to its store.

Two stores keep this Protocol: ``relay.adapters.store`` (SQL) and the village's in-memory one; one set of contract tests
holds both. A ``Batch`` is everything that one turn decided: it is committed whole or not at all, and nothing of it is
acknowledged or published before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from doorbell.errors import DoorbellError
from doorbell.values import value
from relay.core.alarm import Alarm, Outcome
from relay.core.lease import Claim, LeaseTable, Member
from relay.core.register import Hook, Register
from relay.core.renewal import Renewal, RenewalRow


class StoreError(DoorbellError):
    """The database did not take or give something. ``retryable``: the same again may work (locked, full, away)."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class LeaseLostError(StoreError):
    """Another relay holds these communities now: nothing of the batch was written, and it must be decided anew."""

    def __init__(self, communities: Collection[str]) -> None:
        super().__init__(f"another relay has taken {', '.join(sorted(communities))}", retryable=False)
        self.communities = frozenset(communities)


@value(frozen=True, slots=True)
class EventRow:
    """An event of a device that the relay has heard, once per id."""

    id: str
    community: str
    device: str
    type: str
    at: datetime
    """When it happened, by the best clock there was."""
    received_at: datetime
    alarm: str | None
    verdict: str
    """``applied``, ``early`` (names an alarm that nobody has raised yet), or why it changed nothing."""
    body: bytes
    """The event as it came: JSON."""


@value(frozen=True, slots=True)
class JournalRow:
    """One line of the append-only journal. ``after`` is the alarm's state once the line's transition is done.

    Of several lines of one transition only the last carries ``after``; the store writes it without the policy, except
    on the line ``raised``, from which a rebuild takes the policy.
    """

    at: datetime
    community: str
    type: str
    household: str | None = None
    alarm: str | None = None
    device: str | None = None
    event: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    after: Alarm | None = None


@value(frozen=True, slots=True)
class TwinRow:
    """A device's desired state as committed. ``content`` is the payload's JSON without ``rev`` and ``stored``."""

    device: str
    rev: int
    stored: tuple[str, ...]
    content: bytes


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A hook to tell. ``id`` is repeatable: the same occasion has the same id, so telling twice can be seen."""

    id: str
    community: str
    alarm: str
    hook: str
    body: Mapping[str, Any]
    created_at: datetime
    state: str = "pending"
    """``pending``, ``sent`` or ``failed``."""
    attempts: int = 0
    next_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """Something that came in and cannot be used, kept for a technician (the newest 10,000, 8 KiB of each)."""

    at: datetime
    topic: str
    payload: bytes
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """How the wall clock stood to the machine's own clock: tells a clock step across a restart of the relay.

    ``boot_id`` names the boot (another boot: nothing can be told); ``offset_ms`` is wall minus time since boot.
    """

    boot_id: str
    offset_ms: int


@dataclass(slots=True)
class Batch:
    """What one turn decided. Alarms and twins are whole new states; the rest is appended or changed by id."""

    events: list[EventRow] = field(default_factory=list)
    verdicts: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """New verdict and alarm of events committed earlier: ``early`` ones that found their alarm, which is another than
    they name if they name a later press of it."""
    moved: dict[str, datetime] = field(default_factory=dict)
    """New times of ``early`` events: the wall clock was moved while they waited."""
    journal: list[JournalRow] = field(default_factory=list)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    twins: dict[str, TwinRow] = field(default_factory=dict)
    notices: dict[str, NoticeRow] = field(default_factory=dict)
    rejected: list[RejectedRow] = field(default_factory=list)
    renewals: dict[str, RenewalRow] = field(default_factory=dict)
    commands_done: dict[int, str] = field(default_factory=dict)
    """Results of commands, by number."""
    anchor: ClockAnchor | None = None
    fences: Mapping[str, int] = field(default_factory=dict)
    """The fencing numbers under which this was decided, by community: written only if all of them still hold.
    Empty where one relay owns the database by its lock."""

    def __bool__(self) -> bool:
        return bool(
            self.events
            or self.verdicts
            or self.moved
            or self.journal
            or self.alarms
            or self.twins
            or self.notices
            or self.rejected
            or self.renewals
            or self.commands_done
            or self.anchor
        )


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a person at the office asked for by a command: today, to close an alarm."""

    id: int
    alarm: str
    outcome: Outcome
    by: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a relay starts from."""

    register: Register
    register_version: int
    alarms: Mapping[str, Alarm]
    """The open ones."""
    twins: Mapping[str, TwinRow]
    early: Sequence[EventRow]
    """Events with the verdict ``early``, oldest first."""
    notices: Mapping[str, NoticeRow]
    """The pending ones."""
    anchor: ClockAnchor | None
    renewals: Sequence[RenewalRow] = ()
    """Those whose certificate a device has been told and has not taken yet."""
    rebuilt: Collection[str] = ()
    """Of ``alarms``: those whose row was spoilt, as something else tells of them. To be written again."""
    unreadable: Collection[str] = ()
    """Open alarms that nothing told of any more: not among ``alarms``. A person must look."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An open alarm in the database without a deadline that will come."""

    alarm: str
    community: str
    deadline: datetime | None


class Store(Protocol):
    """The relay's memory. Used from one thread. Every failure is a ``StoreError``."""

    def load(self, communities: Collection[str] | None = None) -> Snapshot:
        """What a relay starts from: everything; or what concerns these communities, and no register: whoever takes them
        over has it, and a city's takes many seconds to read. Of no community: the register alone."""
        ...

    def known_events(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are committed."""
        ...

    def find_alarm(self, alarm_id: str) -> Alarm | None:
        """An alarm by id, open or closed; also by the id of any press that was counted to it."""
        ...

    def commit(self, batch: Batch) -> None:
        """Write a batch durably, whole or not at all; ``LeaseLostError`` if a fencing number of it holds no more."""
        ...

    def load_register(self) -> tuple[int, Register]:
        """The register and its version, which rises with every import."""
        ...

    def poll(self) -> tuple[int, Sequence[Command]]:
        """The register's version and the commands not yet done, oldest first. Cheap: asked every second."""
        ...

    def renewals(self, *, devices: Sequence[str] | None = None, state: Renewal | None = None) -> list[RenewalRow]:
        """Requests for certificates, oldest first: of these devices, in this state. Cheap for ``SIGNED``: asked every
        second."""
        ...


class LeaseStore(Protocol):
    """The tables of ``relay.core.lease``. Every failure is a ``StoreError``; each call is one transaction."""

    def join(self, me: Member) -> None:
        """Put this relay's row there, in the place of any earlier run of the same name."""
        ...

    def beat(self, me: Member) -> LeaseTable:
        """Raise the beat of this run's row and say how it stands; returns all rows. The caller looks whether its own
        is among them: another run of the name may have replaced it, or somebody have buried it."""
        ...

    def take(self, me: Member, claims: Sequence[Claim]) -> dict[str, int]:
        """Take what is still as claimed; returns the fencing numbers of all that this run holds then."""
        ...

    def give(self, me: Member, fences: Mapping[str, int]) -> None:
        """Let go of communities that are held under these numbers."""
        ...

    def bury(self, dead: Sequence[Member]) -> None:
        """Remove the rows of members that have not beaten since."""
        ...

    def leave(self, me: Member) -> None:
        """Let go of everything and remove the row."""
        ...


@dataclass(frozen=True, slots=True)
class NoticeDelivered:
    """The outcome of one attempt to tell a hook. ``retryable``: the same again may work."""

    notice: str
    ok: bool
    retryable: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditFound:
    """From the auditor: these open alarms have no deadline that will come."""

    alarms: tuple[str, ...]


class Notifier(Protocol):
    """Tells hooks, one attempt at a call, without blocking; every outcome comes back as a ``NoticeDelivered``."""

    def send(self, notice: NoticeRow, hook: Hook) -> None:
        """Try once to tell the hook; the outcome arrives later, exactly one for each call."""
        ...


class Clock(Protocol):
    """The relay's clocks, read once per turn by the shell."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that only ever rise, at an even pace (since boot, where the machine has that clock)."""
        ...

    def boot_id(self) -> str:
        """Names the boot within which ``monotonic_ms`` counts; empty if the machine cannot tell."""
        ...
