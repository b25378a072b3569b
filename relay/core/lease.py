"""Which relay serves which community: who is alive, who should take and give what, and when to stop speaking.

The database keeps two tables. ``members``: a row for each relay that runs, with a ``beat`` that it raises every second.
``leases``: for each community its holder and a fencing number that rises with every change of holder. Every write of a
relay is refused by the database unless the fencing numbers that it was decided under are still those of the table, so
what is in here decides only how fast and how evenly the work moves, never who may write (docs/adr/0010).

No wall clock is asked. A relay is dead when others have seen its beat stand still for ``expire_ms`` on their own
monotonic clocks; it stops speaking ``margin_ms`` earlier on its own. All times are one relay's monotonic milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How fast leases move. Raises ``ValueError`` for times that cannot work."""

    beat_ms: int = 1_000
    """Between two beats of a relay; also how soon it sees what others did."""
    expire_ms: int = 6_000
    """A beat that stands still for so long is a dead relay's. Six lost beats in a row, and a failover within 10 s."""
    margin_ms: int = 1_500
    """So much earlier the holder itself stops speaking: clocks drift by parts in a million, a write to a socket that
    is under way takes milliseconds."""

    def __post_init__(self) -> None:
        if not 0 < self.beat_ms * 2 <= self.expire_ms - self.margin_ms or self.margin_ms <= 0:
            raise ValueError("a lease must outlast its margin by two beats: one may be lost without harm")


@dataclass(frozen=True, slots=True)
class Member:
    """A relay that runs. ``run`` names the life of its process: another one under the same name is another holder."""

    name: str
    run: str
    beat: int = 0
    ready: bool = False
    """Connected, and knows which devices are there."""
    leaving: bool = False
    """Told to stop: gives away all that it holds."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A community's holder, by ``run``; None while nobody has it. ``fence`` rises whenever somebody takes it."""

    community: str
    fence: int
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseTable:
    """What the database says, of one moment: members by name, leases by community."""

    members: Mapping[str, Member] = field(default_factory=dict)
    leases: Mapping[str, Lease] = field(default_factory=dict)

    def held_by(self, run: str) -> dict[str, int]:
        """The fencing numbers of all that a run of a relay holds, by community."""
        return {lease.community: lease.fence for lease in self.leases.values() if lease.holder == run}


@dataclass(frozen=True, slots=True)
class Sight:
    """A member as it was last seen to beat: since ``since_ms`` nothing has been heard of it."""

    member: Member
    since_ms: int


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What one relay remembers of the others from beat to beat."""

    sights: Mapping[str, Sight] = field(default_factory=dict)
    free_since_ms: Mapping[str, int] = field(default_factory=dict)
    """Communities that nobody alive holds, and since when."""

    def alive(self, now_ms: int, times: LeaseTimes) -> list[Member]:
        """The members whose beat has moved lately, in the order of their names."""
        return [s.member for _, s in sorted(self.sights.items()) if now_ms - s.since_ms < times.expire_ms]


@dataclass(frozen=True, slots=True)
class Claim:
    """A community to take, if its fence is still this one (0: never held) and its dead holder has not beaten since."""

    community: str
    fence: int


@dataclass(frozen=True, slots=True)
class LeasePlan:
    """What a relay does about the leases now."""

    take: tuple[Claim, ...] = ()
    give: tuple[str, ...] = ()
    """Communities that another one will take at its next beat."""
    bury: tuple[Member, ...] = ()
    """Dead members, whose rows go; what they hold is free."""


def observe_leases(
    view: LeaseView,
    table: LeaseTable,
    communities: Collection[str],
    *,
    asked_ms: int,
    heard_ms: int,
    times: LeaseTimes,
) -> LeaseView:
    """Remember a table. ``asked_ms``, ``heard_ms``: just before it was asked for, and after it was there.

    A beat that moved did so before ``heard_ms``. One that did not had not by ``asked_ms``: so a relay that was itself
    paused before, in or after the asking never takes the pause for another one's silence.
    """
    sights: dict[str, Sight] = {}
    for name, member in table.members.items():
        old = view.sights.get(name)
        same = old is not None and (old.member.run, old.member.beat) == (member.run, member.beat)
        sights[name] = Sight(member, old.since_ms if same and old is not None else heard_ms)
    alive = {m.run for m in LeaseView(sights).alive(asked_ms, times)}
    free: dict[str, int] = {}
    for community in communities:
        lease = table.leases.get(community)
        if lease is None or lease.holder not in alive:
            free[community] = view.free_since_ms.get(community, asked_ms)
    return LeaseView(sights, free)


def plan_leases(
    me: Member, view: LeaseView, table: LeaseTable, communities: Collection[str], now_ms: int, times: LeaseTimes
) -> LeasePlan:
    """Who should hold what, and so what this relay takes and gives. Pure: every relay works it out for itself.

    Each candidate has an equal share; who has more than its share gives, who has less takes what is free. A community
    that stays free for two beats is taken by whoever sees it: serving it comes before sharing it.
    """
    alive = view.alive(now_ms, times)
    bury = tuple(sight.member for name, sight in sorted(view.sights.items()) if sight.member not in alive)
    held = table.held_by(me.run)
    foreign = tuple(sorted(held.keys() - set(communities)))
    candidates = _candidates([me, *(member for member in alive if member.name != me.name)])
    if me not in candidates:
        # There is somebody to give to, or we must go: whoever is not leaving is a candidate while nobody hears devices.
        return LeasePlan(give=tuple(sorted(held)), bury=bury)
    counts = Counter(lease.holder for lease in table.leases.values() if lease.community in communities)
    ranked = sorted(candidates, key=lambda member: (-counts[member.run], member.name))
    share, extra = divmod(len(communities), len(ranked))
    wants = [share + (place < extra) - counts[member.run] for place, member in enumerate(ranked)]
    mine = ranked.index(me)
    surplus: list[str] = []
    if me.ready:  # among relays that do not hear the devices yet nothing moves that somebody has
        surplus = sorted(held.keys() - set(foreign))[counts[me.run] + min(wants[mine], 0) :]
    free = sorted(view.free_since_ms)
    before = sum(max(want, 0) for want in wants[:mine])
    chosen = dict.fromkeys(free[before : before + max(wants[mine], 0)])
    orphans = (c for c in free if now_ms - view.free_since_ms[c] >= 2 * times.beat_ms)
    chosen.update(dict.fromkeys(orphans))
    claims = tuple(Claim(c, table.leases[c].fence if c in table.leases else 0) for c in sorted(chosen))
    return LeasePlan(take=claims, give=(*surplus, *foreign), bury=bury)


def _candidates(alive: list[Member]) -> list[Member]:
    """Those that may hold: not leaving, and ready; while nobody is ready, whoever is there."""
    staying = [member for member in alive if not member.leaving]
    return [member for member in staying if member.ready] or staying


def sure_until_ms(beat_sent_ms: int, times: LeaseTimes) -> int:
    """Until when a relay may speak for what it holds, after a beat that it sent at ``beat_sent_ms`` and that was taken.

    Nobody can have seen that beat earlier, so nobody takes it for dead before ``expire_ms`` have passed.
    """
    return beat_sent_ms + times.expire_ms - times.margin_ms
