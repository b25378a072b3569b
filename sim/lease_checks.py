"""The rules of several relays on one database, checked at every commit and publish.

Of two writes about a community the later one never carries the smaller number, no number is two processes', and what is
published is said by the one relay that is sure to be its holder.
"""

from __future__ import annotations

from collections.abc import Sequence

from relay.core.alarm import NoteType
from relay.core.register import Register
from relay.ports import Batch
from sim.relay_machine import RelayMachine
from sim.schedule import Violation

FAILOVER_MS = 10_000
"""Within this somebody serves again what a relay has let fall (wire contract)."""


class LeaseChecks:
    """Watches several relays. Everything raises ``Violation``."""

    def __init__(self, machines: Sequence[RelayMachine], register: Register) -> None:
        self._machines = machines
        self._register = register
        self._fences: dict[str, tuple[int, str]] = {}
        """The newest number under which something was written about a community, and by which process."""
        self._begun: set[tuple[object, ...]] = set()

    def committed(self, machine: RelayMachine, batch: Batch) -> None:
        """A batch is in the database: every row of it is about a community whose number it carries."""
        process = f"{machine.name}, process {machine.run}"
        communities = {row.community for row in batch.events} | {row.community for row in batch.journal}
        communities |= {alarm.community for alarm in batch.alarms.values()}
        communities |= {notice.community for notice in batch.notices.values()}
        communities.update(self._register.devices[twin].community for twin in batch.twins)
        if unfenced := communities - batch.fences.keys():
            raise Violation(f"{process} wrote about {sorted(unfenced)} without a number")
        for community, fence in batch.fences.items():
            newest, by = self._fences.get(community, (0, ""))
            if fence < newest or (fence == newest and by != process):
                raise Violation(f"{process} wrote about {community} with {fence}, after {newest} by {by}")
            self._fences[community] = fence, process

    def published(self, machine: RelayMachine, device: str, now_ms: int) -> None:
        """What a relay says it says of a community that it holds, and that nobody else believes to hold."""
        community = self._register.devices[device].community
        if not _is_sure(machine, community, now_ms):
            raise Violation(f"{machine.name} speaks to {device} and cannot be sure of {community}")
        others = [m.name for m in self._machines if m is not machine and _is_sure(m, community, now_ms)]
        if others:
            raise Violation(f"{machine.name} and {others} are both sure of {community}")

    def begun(self, batch: Batch) -> None:
        """No step of an alarm begins twice: nobody is rung twice for one thing."""
        for line in batch.journal:
            if line.type not in (NoteType.STEP_STARTED, NoteType.STEP_REPEATED) or line.alarm is None:
                continue
            alarm = batch.alarms[line.alarm]
            said = (
                line.alarm,
                line.type,
                line.data["step"],
                alarm.round,
                alarm.since,
                alarm.presses,
                len(alarm.helpers),
            )
            step = (*said, alarm.declined)
            if step in self._begun:
                raise Violation(f"step {line.data['step']} of alarm {line.alarm} began twice: {alarm}")
            self._begun.add(step)

    def served_since_ms(self) -> int | None:
        """Since when some relay has been able to serve without a break, and none has got into trouble: one after the
        other may, each just when it has taken over, and each costs the time of a failover."""
        since = [m.serving_since_ms for m in self._machines if m.serving_since_ms is not None]
        return max(min(since), *(m.troubled_ms for m in self._machines)) if since else None


def _is_sure(machine: RelayMachine, community: str, now_ms: int) -> bool:
    return community in machine.held and machine.held.sure(machine.monotonic_at(now_ms))
