"""The story of the first ring with real processes, with one fault at one moment of it; and what must be true then.

The people in it do what people do: the elder whose panel died before it answered presses again, a volunteer whose
bell still sounds presses again, and nobody does anything that a light or a sound did not ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from relay.adapters.store_rows import JournalLine
from tests.system.fault import Bound, Fault, Moment, Scene
from tests.system.processes import WITHIN_S, Device, Sighting, until

T = TypeVar("T")

PROCESSES = ("broker", "relay", "panel", "first", "second")
EARLY = timedelta(milliseconds=150)
"""How long before the deadline is "just before" it."""
TOUCH = timedelta(milliseconds=100)
"""A quick finger; less than 20 ms would be noise."""
TOLERANCE_S = 1.0
"""No deadline moves by more than this (product rule)."""
FAILOVER_S = 10.0
"""Where another relay must take over first, a deadline may be so late (wire contract)."""
DIRECT_S = 4.5
"""A bell or panel turns to the other directly after 5 s without a receipt, by clocks of two processes."""
LOOK_S = 0.2
"""How late an observer beside the programs may see what they have written: where their own clocks lie."""


STAGES = ("heard", "received", "ringing", "coming", "arrived")
"""What a panel shows one after the other."""
_STEPS = ("step_started", "step_repeated")
_TRUE_SINCE = {"received": "raised", "ringing": "sounding", "coming": "accepted", "arrived": "arrived"}
"""What must be in the journal before a panel may say it."""


@dataclass(frozen=True, slots=True)
class Told:
    """How it went. Seconds; ``deadline_error_s`` of the worst step, None if every step was cut short as deaf.

    ``deadline_bound`` names what that error is measured against: see ``Bound``.
    """

    restart_s: float
    press_to_ring_s: float
    deadline_error_s: float | None
    deadline_bound: str
    presses: int


class Story:
    """One telling. ``fault`` strikes at ``moment``; without them everything goes well."""

    def __init__(self, scene: Scene, fault: Fault | None = None, moment: Moment | None = None) -> None:
        self._scene = scene
        self._fault, self._moment = fault, moment
        told = scene.journal()
        self._seq = told[-1].seq if told else 0
        self._from = {device.name: len(device.sightings) for device in scene.devices}
        self._struck_at: datetime | None = None
        self._over_at: datetime | None = None
        self._answered_at: datetime | None = None
        self._presses = 0
        self._looked_at = _now()
        self._seen: dict[int, tuple[datetime, datetime]] = {}
        """Of each line: when it was not there yet, and when it was."""

    def tell(self) -> Told:
        """From rest to rest; fails wherever it does not go as it must."""
        try:
            return self._tell()
        finally:
            self._end_fault()

    def _tell(self) -> Told:
        scene = self._scene
        self._reached(Moment.IDLE)
        began = _now()
        self._press_help()
        self._panel_shows("heard", Moment.HEARD)
        self._panel_shows("received", Moment.RECEIVED)
        self._until(lambda: scene.first.now.sounding or scene.second.now.sounding or self._has("accepted"), "a bell")
        self._reached(Moment.SOUNDING)
        self._panel_shows("ringing", Moment.RINGING)
        self._await_second_step()
        self._answer()
        self._panel_shows("coming", Moment.COMING)
        self._confirm_arrival()
        self._panel_shows("arrived", Moment.ARRIVED)
        self._until(lambda: scene.second.now.light == "mine", "the second bell knows that it is its own alarm")
        self._await_touchable(scene.second)
        scene.second.press("answer", ms=1_200)
        self._until(lambda: self._has("closed"), "the alarm is closed")
        self._until(lambda: self._over_at or not self._lasts_a_time(), "the fault is over")
        self._end_fault()
        scene.await_rest()
        return self._check(began)

    def shown(self, device: Device) -> list[Sighting]:
        """What a device has shown since the story began."""
        return device.sightings[self._from[device.name] :]

    def lines(self) -> list[JournalLine]:
        """The journal since the story began."""
        asked_at = _now()
        lines = [line for line in self._scene.journal() if line.seq > self._seq]
        seen = self._looked_at, _now()
        self._looked_at = asked_at
        for line in lines:
            self._seen.setdefault(line.seq, seen)
        return lines

    # --- what the people do -----------------------------------------------------------------------------------------

    def _press_help(self) -> None:
        panel = self._scene.panel
        self._finger(panel, "help", Moment.BUTTON_DOWN)
        self._presses = 1

        def forgotten() -> bool:
            """The panel died before it had said ``heard``, came back and rests: she sees it and presses."""
            struck = self._died(panel) and self._moment is Moment.BUTTON_DOWN and self._presses == 1
            said = any(sighting.stage == "heard" for sighting in self.shown(panel))
            return struck and not said and _rests(panel, "idle")

        def heard() -> bool:
            if self._has("raised"):
                return True
            if forgotten():
                self._presses += 1
                panel.press("help")
            return False

        self._until(heard, "the press is in the journal")

    def _answer(self) -> None:
        second = self._scene.second
        self._until(lambda: second.now.sounding, "the second bell sounds")
        self._answered_at = _now()
        self._finger(second, "answer", Moment.ANSWERED)
        self._insist(second, "answer", "accepted", lambda: bool(second.now.sounding))

    def _confirm_arrival(self) -> None:
        panel = self._scene.panel
        self._finger(panel, "ok", Moment.OK_PRESSED)
        self._insist(panel, "ok", "arrived", lambda: _rests(panel, "coming"))

    def _finger(self, device: Device, pin: str, moment: Moment) -> None:
        self._await_touchable(device)
        device.down(pin)
        off_at = _now() + TOUCH
        freezes = self._fault is not None and self._fault.frozen is device
        if not freezes:
            self._reached(moment)
        if not (self._moment is moment and self._died(device)):
            self._until(lambda: _now() >= off_at, "the finger has been on the button")
            device.up(pin)
        if freezes:
            self._reached(moment)  # a finger on pins of pretence reaches nobody who stands still

    def _await_touchable(self, device: Device) -> None:
        fault = self._fault
        if fault is not None and fault.frozen is device and self._struck_at is not None:
            self._until(lambda: self._over_at, f"{device.name} goes on")

    def _insist(self, device: Device, pin: str, line: str, still_asked: Callable[[], bool]) -> None:
        """Until it is in the journal; where the device died under the finger and asks again, press again, once."""
        again = self._died(device)

        def done() -> bool:
            nonlocal again
            if self._has(line):
                return True
            if again and still_asked():
                again = False
                device.press(pin)
            return False

        self._until(done, f"{line} is in the journal")

    def _await_second_step(self) -> None:
        first = self._until(lambda: self._steps()[:1], "the first step is in the journal")[0]
        deadline = self._at(first) + timedelta(seconds=first.data["wait_s"])
        self._until(
            lambda: len(self._steps()) > 1 or _now() >= deadline - EARLY, "the first step's time is nearly over"
        )
        self._reached(Moment.BEFORE_DEADLINE)
        self._until(lambda: len(self._steps()) > 1, "the second step started")
        self._reached(Moment.SECOND_STEP)

    # --- the fault --------------------------------------------------------------------------------------------------

    def _reached(self, moment: Moment) -> None:
        if moment is self._moment and self._fault is not None:
            self._struck_at = _now()
            self._fault.strike()

    def _lasts_a_time(self) -> bool:
        return self._fault is not None and self._struck_at is not None and self._fault.lasts_s is not None

    def _tend(self) -> None:
        """End the fault when its time is over."""
        self.lines()
        if self._fault is None or self._struck_at is None or self._fault.lasts_s is None:
            return
        if _now() >= self._struck_at + timedelta(seconds=self._fault.lasts_s):
            self._end_fault()

    def _end_fault(self) -> None:
        if self._fault is not None and self._struck_at is not None and self._over_at is None:
            self._over_at = _now()
            self._fault.end()

    def _died(self, device: Device) -> bool:
        return self._struck_at is not None and self._fault is not None and self._fault.dies is device

    # --- what must be true afterwards -------------------------------------------------------------------------------

    def _check(self, began: datetime) -> Told:
        lines = self.lines()
        counts = {
            kind: sum(line.type == kind for line in lines) for kind in ("raised", "accepted", "arrived", "closed")
        }
        assert counts == dict.fromkeys(counts, 1), f"one alarm, taken once: {counts}"
        assert not self._scene.open_alarms(), "no alarm stays open"
        again = sum(line.type == "pressed_again" for line in lines)
        assert again == 0 or (again < self._presses and self._died(self._scene.panel)), f"{again} presses too many"
        alarm = next(line.alarm for line in lines if line.type == "raised")
        sounded = {one for device in self._scene.devices for shown in self.shown(device) for one in shown.sounding}
        assert sounded == {alarm}, f"bells sounded for {sounded}, the alarm is {alarm}"
        begun = [line.data["step"] for line in lines if line.type == "step_started"]
        assert len(begun) == len(set(begun)), f"a step began twice: {begun}"
        self._check_panel(lines)
        ready = self._ready_at()
        restart_s = (ready - self._struck_at).total_seconds() if ready and self._struck_at else 0.0
        rang = [self._when(one) for device in self._scene.devices for one in self.shown(device) if one.sounding]
        error, bound = self._check_deadlines(lines, ready)
        return Told(restart_s, (min(rang) - began).total_seconds(), error, bound.value, self._presses)

    def _check_panel(self, lines: list[JournalLine]) -> None:
        """The panel never says more than what was committed before, and says all of it in the end."""
        shown = [one for one in self.shown(self._scene.panel) if one.at is not None]
        slack = timedelta(seconds=LOOK_S if self._fault is not None and self._fault.moves_clocks else 0.0)
        for stage, kind in _TRUE_SINCE.items():
            said = next((self._when(one) for one in shown if one.stage == stage), None)
            committed = next((self._at(line) for line in lines if line.type == kind), None)
            since = committed
            if stage == "coming" and self._answered_at is not None and committed is not None:
                # A bell whose answer has no receipt for so long tells the panel itself, and it is so.
                since = min(committed, self._answered_at + timedelta(seconds=DIRECT_S))
            assert said is None or (since is not None and said >= since - slack), f"{stage} at {said}: {committed}"
        assert shown[-1].stage == "idle"

    def _check_deadlines(self, lines: list[JournalLine], ready: datetime | None) -> tuple[float | None, Bound]:
        """Each step but one that was cut short as deaf starts in time, or within what the fault allows."""
        errors: list[tuple[float, Bound]] = []
        ringing = [line for line in lines if line.type in (*_STEPS, "step_deaf", "accepted")]
        for before, after in pairwise(ringing):
            if before.type not in _STEPS or after.type not in _STEPS:
                continue
            due = self._at(before) + timedelta(seconds=before.data["wait_s"])
            error_s, bound = (self._visible(after) - due).total_seconds(), self._bound(due, ready)
            if abs(error_s) <= TOLERANCE_S:
                bound = Bound.AS_EVER
            elif bound is Bound.WHEN_OVER and ready is not None and error_s > 0:
                error_s = max(0.0, (self._visible(after) - ready).total_seconds())
            latest_s = FAILOVER_S if bound is Bound.FAILOVER else TOLERANCE_S
            assert -TOLERANCE_S <= error_s <= latest_s, f"a step started {error_s:+.3f} s from its time ({bound.value})"
            errors.append((error_s, bound))
        return max(errors, key=lambda one: abs(one[0]), default=(None, Bound.AS_EVER))

    def _bound(self, due: datetime, ready: datetime | None) -> Bound:
        """What may keep a deadline from its time: the fault, if it lasts when the time comes."""
        if self._fault is None or self._struck_at is None or due < self._struck_at:
            return Bound.AS_EVER
        match self._fault.bound:
            case Bound.WHEN_OVER if ready is not None and due <= ready:
                return Bound.WHEN_OVER
            case Bound.FAILOVER if due <= self._struck_at + timedelta(seconds=FAILOVER_S):
                return Bound.FAILOVER
            case _:
                return Bound.AS_EVER

    # --- small words ------------------------------------------------------------------------------------------------

    def _until(self, condition: Callable[[], T | None], what: str) -> T:
        """As ``until``, with the fault looked after."""

        def tended() -> T | None:
            self._tend()
            return condition()

        return until(tended, what, WITHIN_S)

    def _ready_at(self) -> datetime | None:
        """When what was struck was of use again; None if nothing was."""
        if self._fault is None or self._struck_at is None:
            return None
        return self._fault.ready_at() or self._over_at

    def _at(self, line: JournalLine) -> datetime:
        """When it was decided, as far as anybody can tell."""
        return self._seen[line.seq][1] if self._fault is not None and self._fault.moves_clocks else line.at

    def _visible(self, line: JournalLine) -> datetime:
        """When it was committed: as it says itself, but not before or after an observer saw it come."""
        absent, seen = self._seen[line.seq]
        return min(max(self._at(line), absent), seen)

    def _when(self, sighting: Sighting) -> datetime:
        at = sighting.seen if self._fault is not None and self._fault.moves_clocks else sighting.at
        assert at is not None
        return at

    def _panel_shows(self, stage: str, moment: Moment) -> None:
        later = STAGES[STAGES.index(stage) :]
        self._until(lambda: self._scene.panel.now.stage in later, f"the panel shows {stage}")
        self._reached(moment)

    def _has(self, kind: str) -> bool:
        return any(line.type == kind for line in self.lines())

    def _steps(self) -> list[JournalLine]:
        return [line for line in self.lines() if line.type in _STEPS]


def _rests(device: Device, stage: str) -> bool:
    """The device shows just this, is connected and told, and owes nothing: what a person would take as final."""
    now = device.now
    return now.stage == stage and now.link and now.rev > 0 and now.outbox == 0


def _now() -> datetime:
    return datetime.now(UTC)
