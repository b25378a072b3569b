"""Is this relay well? Judged from its figures, for ``/healthz`` and ``/readyz``; what to do is in ``relay.texts``.

*Alive* asks whether the process can still do anything: if not, starting it again may help. A loop that waits for its
database is alive, because no restart mends a full disk. *Ready* asks whether a press made now would ring a bell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from relay.auditor import INTERVAL_S, Auditor
from relay.figures import ENDS_NOW_DAYS, ENDS_SOON_DAYS, Figures, Gauges
from relay.loop import PROOF_S

STUCK_S = 15.0
"""The loop turns or tries at least every 5 s (``relay.loop``); taking over a register of 100,000 devices needs 2 s."""
AUDITOR_SILENT_S = 3 * INTERVAL_S
SHED_LATELY_S = 60.0
UNPROVEN_S = 2 * PROOF_S
"""The database has not taken a commit for so long, although one is made every ``PROOF_S`` at the least."""


class Ailment(StrEnum):
    """What can be wrong. Stable words: programs and alert rules match on them."""

    LOOP_STUCK = "loop_stuck"
    LINK_DEAD = "link_dead"
    STORE_REFUSES = "store_refuses"
    STORE_UNPROVEN = "store_unproven"
    BROKER_AWAY = "broker_away"
    AUDITOR_SILENT = "auditor_silent"
    ALARMS_FORGOTTEN = "alarms_forgotten"
    ALARMS_UNREADABLE = "alarms_unreadable"
    ALARMS_REBUILT = "alarms_rebuilt"
    SHEDDING = "shedding"
    CERTIFICATE_URGENT = "certificate_urgent"
    CERTIFICATE_ENDS = "certificate_ends"
    CLOCK_WRONG = "clock_wrong"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judgement. ``warnings`` are told and do not count: taking the relay out of service would not help."""

    problems: tuple[Ailment, ...] = ()
    warnings: tuple[Ailment, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    """Seconds and numbers that belong to it."""

    @property
    def well(self) -> bool:
        """Nothing is wrong that counts."""
        return not self.problems


def judge_life(figures: Figures, *, link_alive: bool) -> Judgement:
    """Whether the process lives: its loop moved lately and the link's thread runs."""
    idle_s = figures.monotonic() - figures.moved_s
    problems = []
    if idle_s > STUCK_S:
        problems.append(Ailment.LOOP_STUCK)
    if not link_alive:
        problems.append(Ailment.LINK_DEAD)
    return Judgement(tuple(problems), facts={"loop_moved_s": round(idle_s, 1)})


def judge_readiness(figures: Figures, gauges: Gauges, auditor: Auditor, *, link_alive: bool) -> Judgement:
    """Whether a press made now would be served."""
    now_s = figures.monotonic()
    life = judge_life(figures, link_alive=link_alive)
    problems = list(life.problems)
    unproven_s, failing_since_s = now_s - figures.proven_s, figures.failing_since_s
    if failing_since_s is not None:
        problems.append(Ailment.STORE_REFUSES)
    elif unproven_s > UNPROVEN_S:
        problems.append(Ailment.STORE_UNPROVEN)
    if not gauges.link_is_up:
        problems.append(Ailment.BROKER_AWAY)
    audit_s = now_s - auditor.looked_s
    if audit_s > AUDITOR_SILENT_S:
        problems.append(Ailment.AUDITOR_SILENT)
    if auditor.forgotten:
        problems.append(Ailment.ALARMS_FORGOTTEN)
    if gauges.counts.get("spoilt.unreadable"):
        problems.append(Ailment.ALARMS_UNREADABLE)
    ends = figures.certificates
    least_days = min(ends.days.values(), default=ENDS_SOON_DAYS)
    if least_days < ENDS_NOW_DAYS:
        problems.append(Ailment.CERTIFICATE_URGENT)
    rebuilt = (Ailment.ALARMS_REBUILT,) if gauges.counts.get("spoilt.rebuilt") else ()
    shedding = figures.shed_s is not None and now_s - figures.shed_s <= SHED_LATELY_S
    warnings = [*rebuilt, *((Ailment.SHEDDING,) if shedding else ())]
    if ENDS_NOW_DAYS <= least_days < ENDS_SOON_DAYS:
        warnings.append(Ailment.CERTIFICATE_ENDS)
    if ends.clock_wrong:
        warnings.append(Ailment.CLOCK_WRONG)
    facts = {**life.facts, "store_proven_s": round(unproven_s, 1), "audited_s": round(audit_s, 1)}
    facts |= {f"certificate_days.{whose}": round(days, 1) for whose, days in ends.days.items()}
    return Judgement(tuple(problems), tuple(warnings), facts)
