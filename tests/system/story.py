"""The story of the first ring with real processes, with a kill -9 at one moment of it; and what must be true then.

The people in it do what people do: the elder whose panel died before it answered presses again, a volunteer whose
bell still sounds presses again, and nobody does anything that a light or a sound did not ask for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import pairwise

from relay.adapters.store_rows import JournalLine
from tests.system.processes import GONE, Device, Sighting, until
from tests.system.town import Town

PROCESSES = ("broker", "relay", "panel", "first", "second")
EARLY = timedelta(milliseconds=150)
"""How long before the deadline is "just before" it."""
TOUCH = timedelta(milliseconds=100)
"""A quick finger; less than 20 ms would be noise."""
TOLERANCE_S = 1.0
"""No deadline moves by more than this (product rule)."""


class Moment(Enum):
    """The moments at which something dies, in the order of the story."""

    IDLE = "idle"
    BUTTON_DOWN = "button down"
    HEARD = "panel heard"
    RECEIVED = "panel received"
    SOUNDING = "first bell sounds"
    RINGING = "panel ringing"
    BEFORE_DEADLINE = "before the deadline"
    SECOND_STEP = "second step started"
    ANSWERED = "second bell answered"
    COMING = "panel coming"
    OK_PRESSED = "OK pressed"
    ARRIVED = "panel arrived"


STAGES = ("heard", "received", "ringing", "coming", "arrived")
"""What a panel shows one after the other."""
_STEPS = ("step_started", "step_repeated")
_TRUE_SINCE = {"received": "raised", "ringing": "sounding", "coming": "accepted", "arrived": "arrived"}
"""What must be in the journal before a panel may say it."""


@dataclass(frozen=True, slots=True)
class Told:
    """How it went. Seconds; ``deadline_error_s`` of the worst step, None if every step was cut short as deaf."""

    restart_s: float
    press_to_ring_s: float
    deadline_error_s: float | None
    presses: int


class Story:
    """One telling. ``victim`` dies at ``moment`` and is started again at once; without them nobody dies."""

    def __init__(self, town: Town, victim: str | None = None, moment: Moment | None = None) -> None:
        self._town = town
        self._victim, self._moment = victim, moment
        self._seq = town.journal()[-1].seq if town.journal() else 0
        self._from = {device.name: len(device.sightings) for device in town.devices}
        self._killed_at: datetime | None = None
        self._presses = 0

    def tell(self) -> Told:
        """From rest to rest; fails wherever it does not go as it must."""
        town = self._town
        self._reached(Moment.IDLE)
        began = _now()
        self._press_help()
        self._panel_shows("heard", Moment.HEARD)
        self._panel_shows("received", Moment.RECEIVED)
        until(lambda: town.first.now.sounding or town.second.now.sounding or self._has("accepted"), "a bell sounds")
        self._reached(Moment.SOUNDING)
        self._panel_shows("ringing", Moment.RINGING)
        self._await_second_step()
        self._answer()
        self._panel_shows("coming", Moment.COMING)
        self._confirm_arrival()
        self._panel_shows("arrived", Moment.ARRIVED)
        until(lambda: town.second.now.light == "mine", "the second bell knows that it is its own alarm")
        town.second.press("answer", ms=1_200)
        until(lambda: self._has("closed"), "the alarm is closed")
        town.await_rest()
        return self._check(began)

    def shown(self, device: Device) -> list[Sighting]:
        """What a device has shown since the story began."""
        return device.sightings[self._from[device.name] :]

    def lines(self) -> list[JournalLine]:
        """The journal since the story began."""
        return [line for line in self._town.journal() if line.seq > self._seq]

    # --- what the people do -----------------------------------------------------------------------------------------

    def _press_help(self) -> None:
        panel = self._town.panel
        self._finger(panel, "help", Moment.BUTTON_DOWN)
        self._presses = 1

        def forgotten() -> bool:
            """The panel died before it had said ``heard``, came back and rests: she sees it and presses."""
            struck = self._struck(panel) and self._moment is Moment.BUTTON_DOWN and self._presses == 1
            said = any(sighting.stage == "heard" for sighting in self.shown(panel))
            return struck and not said and _rests(panel, "idle")

        def heard() -> bool:
            if self._has("raised"):
                return True
            if forgotten():
                self._presses += 1
                panel.press("help")
            return False

        until(heard, "the press is in the journal")

    def _answer(self) -> None:
        second = self._town.second
        until(lambda: second.now.sounding, "the second bell sounds")
        self._finger(second, "answer", Moment.ANSWERED)
        self._insist(second, "answer", "accepted", lambda: bool(second.now.sounding))

    def _confirm_arrival(self) -> None:
        panel = self._town.panel
        self._finger(panel, "ok", Moment.OK_PRESSED)
        self._insist(panel, "ok", "arrived", lambda: _rests(panel, "coming"))

    def _finger(self, device: Device, pin: str, moment: Moment) -> None:
        device.down(pin)
        off_at = _now() + TOUCH
        self._reached(moment)
        if not (self._moment is moment and self._struck(device)):
            until(lambda: _now() >= off_at, "the finger has been on the button")
            device.up(pin)

    def _insist(self, device: Device, pin: str, line: str, still_asked: Callable[[], bool]) -> None:
        """Until it is in the journal; where the device died under the finger and asks again, press again, once."""
        again = self._struck(device)

        def done() -> bool:
            nonlocal again
            if self._has(line):
                return True
            if again and still_asked():
                again = False
                device.press(pin)
            return False

        until(done, f"{line} is in the journal")

    def _await_second_step(self) -> None:
        first = until(lambda: self._steps()[:1], "the first step is in the journal")[0]
        deadline = first.at + timedelta(seconds=first.data["wait_s"])
        until(lambda: len(self._steps()) > 1 or _now() >= deadline - EARLY, "the first step's time is nearly over")
        self._reached(Moment.BEFORE_DEADLINE)
        until(lambda: len(self._steps()) > 1, "the second step started")
        self._reached(Moment.SECOND_STEP)

    # --- the kill ---------------------------------------------------------------------------------------------------

    def _reached(self, moment: Moment) -> None:
        if moment is self._moment and self._victim is not None:
            self._killed_at = _now()
            self._town.kill(self._victim)
            self._town.restart(self._victim)

    def _struck(self, device: Device) -> bool:
        return self._killed_at is not None and getattr(self._town, self._victim or "") is device

    def _ready_at(self) -> datetime | None:
        """When the killed process was of use again; None if nothing was killed."""
        if self._killed_at is None or self._victim is None:
            return None
        relay = self._town.relay
        if self._victim == "relay":
            started = relay.logged("relay.started")
            return datetime.fromisoformat(started["at"]) if started is not None else None
        if self._victim == "broker":
            ups = [datetime.fromisoformat(line["at"]) for line in relay.lines() if line["event"] == "link.up"]
            return ups[-1]
        device: Device = getattr(self._town, self._victim)
        back = max(number for number, one in enumerate(device.sightings) if one is GONE)
        return next(one.at for one in device.sightings[back:] if one.link)

    # --- what must be true afterwards -------------------------------------------------------------------------------

    def _check(self, began: datetime) -> Told:
        lines = self.lines()
        counts = {
            kind: sum(line.type == kind for line in lines) for kind in ("raised", "accepted", "arrived", "closed")
        }
        assert counts == dict.fromkeys(counts, 1), f"one alarm, taken once: {counts}"
        assert not self._town.store.alarms(), "no alarm stays open"
        self._check_panel(lines)
        ready = self._ready_at()
        rang = [one.at for device in self._town.devices for one in self.shown(device) if one.sounding and one.at]
        assert rang, "no bell really sounded"
        restart_s = (ready - self._killed_at).total_seconds() if ready and self._killed_at else 0.0
        ring_s = (min(rang) - began).total_seconds()
        return Told(restart_s, ring_s, self._check_deadlines(lines, ready), self._presses)

    def _check_panel(self, lines: list[JournalLine]) -> None:
        """The panel never says more than what was committed before, and says all of it in the end."""
        shown = [one for one in self.shown(self._town.panel) if one.at is not None]
        for stage, kind in _TRUE_SINCE.items():
            said = next((one.at for one in shown if one.stage == stage), None)
            committed = next((line.at for line in lines if line.type == kind), None)
            assert said is None or (committed is not None and said >= committed), f"{stage} at {said}: {committed}"
        assert shown[-1].stage == "idle"

    def _check_deadlines(self, lines: list[JournalLine], ready: datetime | None) -> float | None:
        """Each step but one that was cut short as deaf starts in time, or as soon as the relay is back."""
        errors: list[float] = []
        ringing = [line for line in lines if line.type in (*_STEPS, "step_deaf", "accepted")]
        for before, after in pairwise(ringing):
            if before.type not in _STEPS or after.type not in _STEPS:
                continue
            due = before.at + timedelta(seconds=before.data["wait_s"])
            if self._victim == "relay" and self._killed_at and ready and self._killed_at <= due <= ready:
                due = ready
            errors.append((after.at - due).total_seconds())
        worst = max(errors, key=abs, default=None)
        assert worst is None or abs(worst) <= TOLERANCE_S, f"a step started {worst:+.3f} s from its time"
        return worst

    # --- small words ------------------------------------------------------------------------------------------------

    def _panel_shows(self, stage: str, moment: Moment) -> None:
        later = STAGES[STAGES.index(stage) :]
        until(lambda: self._town.panel.now.stage in later, f"the panel shows {stage}")
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
