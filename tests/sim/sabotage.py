"""Rules broken on purpose, one at a time: what a careless change could do. The storm must see each of them.

``python -m tests.sim.sabotage [SEEDS]`` prints how many of so many seeds notice each breakage.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import device.runtime as device_runtime
from device.core import outbox, panel, promise, twin
from device.core.effects import Forget, Send
from device.core.panel import PanelStage
from device.core.role import PeerSaid
from doorbell.wire import AlarmKind, EventType, Stage
from relay import engine, runtime, telling
from relay.core import desired, desk, life, timing
from relay.core.alarm import Advance, AlarmStage
from relay.core.lease import Claim, Lease, LeaseTable, LeaseTimes, Member
from relay.elsewhere import Elsewhere
from relay.held import Held
from relay.turn import Turn
from sim.leases import MemoryLeases
from sim.relay_disk import RelayDisk
from sim.stores import MemoryStore
from sim.storm import StormPlan, run_storm

Patch = pytest.MonkeyPatch


def press_on_arrived_only_counts(patch: Patch) -> None:
    """Somebody was there and left without saying so: the next press is counted and rings nowhere."""
    real = life._pressed

    def pressed(alarm: Any, event: Any, around: Any, now: Any) -> Advance:
        if alarm.stage is AlarmStage.ARRIVED:
            noted = real(alarm, event, around, now).notes[:1]
            return Advance(replace(alarm, presses=alarm.presses + 1), life.APPLIED, noted)
        return real(alarm, event, around, now)

    patch.setattr(life, "_pressed", pressed)


def publish_before_commit(patch: Patch) -> None:
    """The relay says "coming" and writes it down afterwards."""
    real = runtime.RelayRuntime.perform

    def perform(self: Any, turn: Turn) -> Turn:
        for topic, payload in turn.publish.values():
            self._link.publish(topic, payload, qos=1, retain=True)
        return real(self, turn)

    patch.setattr(runtime.RelayRuntime, "perform", perform)


def deadlines_stay_when_the_clock_steps(patch: Patch) -> None:
    """A set clock moves every wait by hours."""
    patch.setattr(engine.Engine, "step_clock", lambda self, turn, delta_ms: None)


def forgotten_when_sent(patch: Patch) -> None:
    """The device deletes an event when the broker has it, and not when the relay has committed it."""
    real = outbox.advance_outbox

    def advance(state: Any, event: Any, moment: Any) -> Any:
        after, effects = real(state, event, moment)
        now_ms = moment.now_ms - 1_000
        ticks = isinstance(event, outbox.Tick)
        sent = tuple(one.row.id for one in state.waiting if ticks and one.sends and one.row.born_ms < now_ms)
        kept = tuple(one for one in after.waiting if one.row.id not in sent)
        return replace(after, waiting=kept), (*effects, Forget(sent)) if sent else effects

    patch.setattr("device.core.machine.advance_outbox", advance)


def press_dropped_for_its_age(patch: Patch) -> None:
    """A press that is a minute old is not worth an alarm any more."""
    real = desk.route_event

    def route(register: Any, device: Any, event: Any, at: Any, **more: Any) -> Any:
        if event.type is EventType.HELP and event.age_ms > 60_000:
            return desk.Record("too_old")
        return real(register, device, event, at, **more)

    patch.setattr("relay.engine.route_event", route)


def second_press_raises_a_second_alarm(patch: Patch) -> None:
    """Every press is an alarm of its own."""
    real = desk.route_event

    def route(register: Any, device: Any, event: Any, at: Any, **more: Any) -> Any:
        found = real(register, device, event, at, **more)
        return desk.RaiseAlarm(device.household, AlarmKind.HELP) if event.type is EventType.HELP else found

    patch.setattr("relay.engine.route_event", route)


def old_ok_cancels_a_new_press(patch: Patch) -> None:
    """The daily OK, heard after the press that followed it, takes the press back."""
    patch.setattr(life, "_before_last_press", lambda alarm, event: False)


def accepted_lasts_for_ever(patch: Patch) -> None:
    """Who said "coming" and did not come is waited for all night."""
    real = life._deadline_passed

    def passed(alarm: Any, around: Any, now: Any) -> Advance:
        if alarm.stage is AlarmStage.ACCEPTED:
            return Advance(replace(alarm, deadline=now + timedelta(days=1)), life.APPLIED)
        return real(alarm, around, now)

    patch.setattr(life, "_deadline_passed", passed)


def coming_while_it_rings_again(patch: Patch) -> None:
    """Once somebody has accepted, the panel says "coming" for the rest of the alarm."""
    real = desired.panel_alarm

    def shown(register: Any, household: str, alarms: Any) -> Any:
        held = list(alarms)
        told = real(register, household, held)
        if told is not None and any(alarm.id == told.id and alarm.helpers for alarm in held):
            return told.model_copy(update={"stage": Stage.ACCEPTED})
        return told

    patch.setattr(desired, "panel_alarm", shown)


def old_promise_answers_a_new_press(patch: Patch) -> None:
    """The panel goes on saying what desired said before the press that nobody has heard of yet."""
    real = panel._stage

    def stage(state: Any, pressed: Any, alarm: Any, now_ms: int, limits: Any) -> PanelStage:
        return real(state, pressed if alarm is None else (), alarm, now_ms, limits)

    patch.setattr(panel, "_stage", stage)


def direct_promise_of_anybody(patch: Patch) -> None:
    """A panel takes whatever a paired bell says for an acceptance."""
    real = promise.hear_bell

    def hear(word: Any, said: PeerSaid, *rest: Any) -> Any:
        accept = said.event.model_copy(update={"type": EventType.ACCEPT})
        return real(word, replace(said, event=accept), *rest)

    patch.setattr(panel, "hear_bell", hear)


def older_desired_is_applied(patch: Patch) -> None:
    """A device takes whatever desired state comes last."""
    real = twin.apply_desired

    def apply(state: Any, wanted: Any) -> Any:
        return real(replace(state, rev=0), wanted)

    patch.setattr("device.core.machine.apply_desired", apply)


def nothing_is_told_twice(patch: Patch) -> None:
    """The relay does not look whether what it published has arrived."""
    patch.setattr(telling.Teller, "reported", lambda self, turn, device, rev: None)
    patch.setattr(telling.Teller, "repair", lambda self, turn, seen: len(self._repairs.pop_due(turn.mono_ms)))


def sent_once(patch: Patch) -> None:
    """The outbox waits for the next connection instead of sending again."""
    patch.setattr(outbox, "RESEND_AFTER_S", (10**6,))


def duplicates_are_news(patch: Patch) -> None:
    """An event that comes again is taken again."""
    patch.setattr(RelayDisk, "known_events", lambda self, ids: set())


def rings_as_asked(patch: Patch) -> None:
    """The bell reports what it should ring, and not what really sounds."""
    patch.setattr(
        device_runtime.DeviceRuntime,
        "_report",
        _reporting_wishes(device_runtime.DeviceRuntime._report),
    )


def _reporting_wishes(real: Callable[..., None]) -> Callable[..., None]:
    def report(self: Any, asked: Any, moment: Any) -> None:
        real(self, replace(asked, ringing=self.state.chime), moment)

    return report


def published_before_it_is_on_disk(patch: Patch) -> None:
    """The press goes out first and is saved afterwards, "for speed"."""
    real = device_runtime.DeviceRuntime._perform

    def perform(self: Any, effects: Any, deliveries: Any, moment: Any) -> None:
        early = [effect for effect in effects if isinstance(effect, Send)]
        for effect in early:
            self._publish(self._event_topic, effect.event, retain=False)
        real(self, [effect for effect in effects if effect not in early], deliveries, moment)

    patch.setattr(device_runtime.DeviceRuntime, "_perform", perform)


def open_alarms_are_forgotten_at_a_restart(patch: Patch) -> None:
    """Deadlines live in memory only, as elsewhere."""
    patch.setattr(RelayDisk, "load", lambda self, some=None: replace(self.data.load(some), alarms={}))


def any_wall_clock_is_believed(patch: Patch) -> None:
    """What a device's wall clock says counts, however far it is from the relay's."""
    patch.setattr("relay.runtime.FRESH", timing.QUEUED)


def presses_stay_when_the_clock_steps(patch: Patch) -> None:
    """A press from before the clock was set back is newer than every answer, for hours."""
    real = life._clock_stepped

    def stepped(alarm: Any, event: Any) -> Advance:
        result = real(alarm, event)
        return replace(result, alarm=replace(result.alarm, recent_presses=alarm.recent_presses))

    patch.setattr(life, "_clock_stepped", stepped)


def acknowledged_before_the_commit(patch: Patch) -> None:
    """The relay acknowledges to the broker first. Harmless, as it must be: the receipt decides, not the pipe."""
    real = runtime.RelayRuntime.perform

    def perform(self: Any, turn: Turn) -> Turn:
        for delivery in turn.acks:
            self._link.ack(delivery)
        turn.acks.clear()
        return real(self, turn)

    patch.setattr(runtime.RelayRuntime, "perform", perform)


def a_commit_in_doubt_is_written_again(patch: Patch) -> None:
    """The connection ended during a commit: whether it is there is not asked."""
    patch.setattr(RelayDisk, "_doubtful", property(lambda self: None, lambda self, batch: None), raising=False)


# ---------------------------------------------------------------------------------------------------------------------
# Several relays


def fences_are_not_checked(patch: Patch) -> None:
    """Who was stopped and goes on writes what it had decided."""
    real = MemoryStore.commit
    patch.setattr(MemoryStore, "commit", lambda self, batch: real(self, replace(batch, fences={})))


def a_relay_speaks_on_when_its_lease_has_run_out(patch: Patch) -> None:
    """Who was stopped and goes on says what it had decided."""
    patch.setattr(Held, "sure", lambda self, now_ms: True)


def taken_over_without_its_alarms(patch: Patch) -> None:
    """Who takes a community over begins with a clean table."""
    patch.setattr(RelayDisk, "load", lambda self, some=None: replace(self.data.load(some), alarms={}))


def a_dead_relay_is_waited_for(patch: Patch) -> None:
    """Nobody takes what a dead relay has held for ten minutes."""
    patch.setattr("sim.relay_machine.LeaseTimes", lambda: LeaseTimes(expire_ms=600_000))


def two_relays_take_the_same(patch: Patch) -> None:
    """A claim is taken without a look at who has taken it meanwhile, and under the number that it had."""

    def take(self: MemoryLeases, me: Member, claims: Sequence[Claim]) -> dict[str, int]:
        for claim in claims:
            self._leases[claim.community] = Lease(claim.community, claim.fence or 1, me.run)
        return LeaseTable(leases=self._leases).held_by(me.run)

    patch.setattr(MemoryLeases, "take", take)


def a_stopped_relay_goes_on_with_what_it_knew(patch: Patch) -> None:
    """A refused write is dropped, and nothing is loaded anew."""
    patch.setattr(runtime.RelayRuntime, "start_over", lambda self, lost: self.held.drop(list(lost)))


def what_others_hold_is_forgotten(patch: Patch) -> None:
    """A relay puts nothing aside of what it hears for others. Harmless but for the time: the devices send it again."""
    patch.setattr(Elsewhere, "keep", lambda self, heard, event, now_ms: None)


HARMLESS = (acknowledged_before_the_commit, what_others_hold_is_forgotten)
LEASE_BREAKAGES: tuple[Callable[[Patch], None], ...] = (
    fences_are_not_checked,
    a_relay_speaks_on_when_its_lease_has_run_out,
    taken_over_without_its_alarms,
    a_dead_relay_is_waited_for,
    two_relays_take_the_same,
    a_stopped_relay_goes_on_with_what_it_knew,
)
BREAKAGES: tuple[Callable[[Patch], None], ...] = (
    press_on_arrived_only_counts,
    publish_before_commit,
    deadlines_stay_when_the_clock_steps,
    forgotten_when_sent,
    press_dropped_for_its_age,
    second_press_raises_a_second_alarm,
    old_ok_cancels_a_new_press,
    accepted_lasts_for_ever,
    coming_while_it_rings_again,
    old_promise_answers_a_new_press,
    direct_promise_of_anybody,
    older_desired_is_applied,
    nothing_is_told_twice,
    sent_once,
    duplicates_are_news,
    rings_as_asked,
    published_before_it_is_on_disk,
    open_alarms_are_forgotten_at_a_restart,
    any_wall_clock_is_believed,
    presses_stay_when_the_clock_steps,
    a_commit_in_doubt_is_written_again,
)
SEVERAL = StormPlan(relays=2, busy=True)
"""The villages that must notice the breakages of leases."""


def main(seeds: int) -> None:
    """Print the table."""
    for breakage in (*BREAKAGES, *LEASE_BREAKAGES, *HARMLESS):
        plan = SEVERAL if breakage in LEASE_BREAKAGES else StormPlan()
        with Patch.context() as patch:
            breakage(patch)
            failures = [result for result in run_storm(range(1, seeds + 1), plan, 2) if result.failure]
        words = failures[0].failure.split("\n")[0][:110] if failures and failures[0].failure else ""
        sys.stdout.write(f"{breakage.__name__:<40} {len(failures):>4} of {seeds}  {words}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
