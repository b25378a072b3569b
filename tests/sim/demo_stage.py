"""A neighbourhood that exists on paper: everything that the story must see, at the times of the policy, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from relay.core.policy import Policy
from relay.texts import Language
from sim.demo_cast import BELLS, OFFICE_HOOK, PANELS, demo_policy
from sim.demo_plot import DOCTOR, FIRST, PANEL, SECOND, Gesture
from sim.demo_sightings import Chronicle, DesiredView, DeviceView, JournalLine, OfficeMessage, Seen

ALARM = "11111111-1111-4111-8111-111111111111"
EPOCH = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)
PRESSED_S = 100.0

Moment = tuple[float, Seen]
"""Seconds since the press, and what is seen."""


def panel(stage: str, rev: int, device: str = PANEL) -> DeviceView:
    return DeviceView(device, stage, "covered" if stage == "idle" else stage, lit=True, rev=rev, link=True)


def bell(device: str, stage: str, rev: int) -> DeviceView:
    sounding = (ALARM,) if stage == "ringing" else ()
    light = "ready" if stage == "idle" else stage
    return DeviceView(device, stage, light, lit=True, sounding=sounding, rev=rev, link=True)


def line(at_s: float, kind: str, /, **data: object) -> JournalLine:
    return JournalLine(EPOCH + timedelta(seconds=at_s), kind, ALARM, "home-liu", None, data)


def good_script(policy: Policy, who: str) -> dict[str, list[Moment]]:
    """What follows each gesture: ``start`` before any, then the press, the answer, the green button, the hold."""
    one, two, _, _ = (step.wait_s for step in policy.steps)

    def told(at_s: float, kind: str, /, **data: object) -> Moment:
        return at_s, line(at_s, kind, **data)

    answer, ok, hold = one + two + 2.0, one + two + 3.0, one + two + 6.0
    quiet = {FIRST: 3, SECOND: 3, DOCTOR: 3}
    return {
        "start": [
            *((-5.0, panel("idle", 1, device)) for device in PANELS),
            *((-5.0, bell(device, "idle", 1)) for device in BELLS),
        ],
        "help": [
            (0.02, panel("heard", 1)),
            told(0.03, "raised", kind="help", source=PANEL),
            told(0.03, "step_started", step=1, bells=[FIRST], hooks=[], wait_s=one),
            (0.04, panel("received", 2)),
            (0.05, bell(FIRST, "ringing", 2)),
            told(0.06, "sounding", bells=[FIRST]),
            (0.07, panel("ringing", 3)),
            told(one + 0.03, "step_started", step=2, bells=[FIRST, SECOND], hooks=[], wait_s=two),
            (one + 0.05, bell(SECOND, "ringing", 2)),
            told(one + 0.06, "sounding", bells=[SECOND]),
            told(one + two + 0.03, "step_started", step=3, bells=[DOCTOR], hooks=[OFFICE_HOOK], wait_s=120),
            (one + two + 0.04, OfficeMessage("step_started", ALARM, "柳奶奶")),
            (one + two + 0.05, bell(DOCTOR, "ringing", 2)),
            told(one + two + 0.06, "sounding", bells=[DOCTOR]),
        ],
        "answer": [
            (answer, bell(DOCTOR, "answering", 2)),
            told(answer + 0.01, "accepted", person="doctor", device=DOCTOR),
            (answer + 0.02, DesiredView(PANEL, 4, who)),
            (answer + 0.03, panel("coming", 4)),
            (answer + 0.04, bell(DOCTOR, "mine", 3)),
            *((answer + 0.05, bell(device, "taken", quiet[device])) for device in (FIRST, SECOND)),
        ],
        "ok": [told(ok, "arrived", person="doctor", by=PANEL), (ok + 0.01, panel("arrived", 5))],
        "hold": [
            told(hold, "closed", outcome="helped", by=DOCTOR),
            (hold + 0.01, panel("closed", 6)),
            *((hold + 0.02, bell(device, "idle", 4)) for device in BELLS),
            (hold + 5.0, panel("idle", 6)),
        ],
    }


class PaperStage:
    """A ``sim.demo_story.Stage`` that plays a script. ``spoil`` may leave moments out (None) or change them."""

    def __init__(self, spoil: Callable[[Moment], Moment | None] = lambda moment: moment) -> None:
        self.policy = demo_policy(10)
        self.chronicle = Chronicle(self.monotonic)
        self.gestures: list[Gesture] = []
        self.broken: str | None = None
        self._now_s = PRESSED_S
        self._spoil = spoil
        self._script = good_script(self.policy, who="社区医生")
        self._journal: list[JournalLine] = []
        self._show("start")

    def gesture(self, gesture: Gesture) -> None:
        self.gestures.append(gesture)
        self._show("hold" if gesture.hold else gesture.button)

    def trouble(self) -> str | None:
        return self.broken

    def journal(self) -> Sequence[JournalLine]:
        return self._journal

    def monotonic(self) -> float:
        return self._now_s

    def _show(self, gesture: str) -> None:
        for moment in self._script[gesture]:
            spoilt = self._spoil(moment)
            if spoilt is not None:
                self.chronicle.add(spoilt[1], PRESSED_S + spoilt[0])
                self._now_s = max(self._now_s, PRESSED_S + spoilt[0])
                if isinstance(spoilt[1], JournalLine):
                    self._journal.append(spoilt[1])


LANGUAGE = Language.ZH
