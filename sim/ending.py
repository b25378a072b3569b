"""The end of a stormy day: everything is healed, and the village must come to rest with nothing lost.

What is required then: every press that ever lay on a device's disk is in the relay's database and belongs to one alarm
that was raised; every alarm is closed; every outbox is empty; every device has applied the newest desired state;
every panel is at rest and every bell is silent; and the journal alone tells the same alarms as the database.
"""

from __future__ import annotations

from collections.abc import Iterator

from device.core.panel import PanelStage
from device.core.role import Role
from doorbell.wire import EventType
from relay.core.alarm import NoteType
from sim.faults import Faults
from sim.people import HOUR_MS, People
from sim.schedule import Violation
from sim.village import Village

REST_WITHIN_MS = 6 * HOUR_MS
"""Two and a half of the longest heartbeats for a relay that missed a birth, and the waits of the slowest policy."""
LOOK_EVERY_MS = 5 * 60_000
SILENT_WITHIN_MS = 2 * HOUR_MS + 100_000
"""A bell hears of the end of an alarm at the latest when it sends its next heartbeat, two hours in a village."""


def end_day(village: Village, people: People, faults: Faults) -> None:
    """Heal everything and require rest within ``REST_WITHIN_MS``; raises ``Violation``."""
    schedule = village.schedule
    village.trail.note("village", "is healed")
    faults.heal()
    village.truth.healed_ms = schedule.now_ms
    people.behave()
    healed_ms = schedule.now_ms
    while unrest := list(_unrest(village)):
        if schedule.now_ms - healed_ms > REST_WITHIN_MS:
            raise Violation(
                f"no rest {REST_WITHIN_MS // HOUR_MS} h after everything was healed: {'; '.join(unrest[:5])}"
            )
        schedule.run_until(schedule.now_ms + LOOK_EVERY_MS)
        for machine in village.devices.values():
            village.device_checks.sounds_too_long(machine, SILENT_WITHIN_MS)
    village.counts["rest_min"] = (schedule.now_ms - healed_ms) // 60_000
    _require_nothing_lost(village)


def _unrest(village: Village) -> Iterator[str]:
    """What is not at rest yet."""
    store = village.store
    yield from (f"{relay.name} is down" for relay in village.relays if relay.runtime is None)
    for alarm in store.alarms(limit=10_000):
        yield f"alarm {alarm.id} is {alarm.stage} at step {alarm.step + 1}, round {alarm.round}"
    for name, machine in village.devices.items():
        runtime = machine.runtime
        if runtime is None:
            yield f"{name} is down"
            continue
        if machine.disk.rows or runtime.state.outbox.waiting:
            yield f"{name} has {len(machine.disk.rows)} events on its disk, {len(runtime.state.outbox.waiting)} waiting"
        twin = store.twins.get(name)
        if twin is None or runtime.state.twin.rev != twin.rev:
            yield f"{name} is at rev {runtime.state.twin.rev}, the database at {twin.rev if twin else None}"
        if machine.role is Role.PANEL and runtime.snapshot().stage != PanelStage.IDLE:
            yield f"{name} shows {runtime.snapshot().stage}"
        if machine.speaker.running:
            yield f"{name} sounds for {sorted(machine.speaker.running)}"


def _require_nothing_lost(village: Village) -> None:
    store = village.store
    raised = {line.alarm for line in store.journal() if line.type == NoteType.RAISED}
    for id_, (device, row) in village.truth.born.items():
        event = store.events.get(id_)
        if event is None:
            if row.type is not EventType.FAULT:  # a newer one about the same part has overtaken it
                raise Violation(f"{row.type} {id_} of {device} was on its disk and is not in the database")
        elif row.type is EventType.HELP and event.alarm not in raised:
            raise Violation(f"press {id_} of {device} belongs to alarm {event.alarm}, which nobody raised")
    current = {alarm.id: alarm for alarm in store.alarms(open_only=False, limit=1_000_000)}
    if store.rebuild_alarms() != current:
        wrong = [id_ for id_, alarm in store.rebuild_alarms().items() if current.get(id_) != alarm]
        raise Violation(f"the journal tells another state of {wrong or sorted(current)}")
    for name, machine in village.devices.items():
        if machine.link is not None and machine.link.connected and machine.link.unacked:
            raise Violation(f"{name} has not acknowledged {len(machine.link.unacked)} deliveries")
