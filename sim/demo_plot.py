"""The plot of the demo's story: what is done, and what must then be seen, in order."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.alarm import NoteType, Outcome
from relay.texts import Language, Text
from sim.demo_cast import NEIGHBOURS, OFFICE_HOOK
from sim.demo_signs import AllQuiet, AtRest, Names, Noted, OfficeTold, Shows, Sign, Sounds

PANEL = "panel-liu"
OTHER_PANEL = "panel-zhou"
FIRST, SECOND, DOCTOR = (neighbour.bell for neighbour in NEIGHBOURS)
HELPER = NEIGHBOURS[2]


@dataclass(frozen=True, slots=True)
class Gesture:
    """A finger on a button: pressed and let go, or held for 3 s."""

    device: str
    button: str
    hold: bool = False


@dataclass(frozen=True, slots=True)
class PlotStep:
    """``gesture`` first, then every sign. ``waits``: how many waits of the policy lie between the press and this."""

    name: str
    expected: Text
    signs: tuple[Sign, ...]
    gesture: Gesture | None = None
    waits: int = 0


def plot(language: Language) -> tuple[PlotStep, ...]:
    """The whole story; ``language`` is the one in which the names are registered."""
    helper = HELPER.name.say(language)
    return (
        PlotStep(
            "at_rest",
            Text(
                "五台设备都在线、安静，两块面板都知道有人听得见", "five devices online and quiet, both panels covered"
            ),
            (AtRest(),),
        ),
        PlotStep(
            "pressed",
            Text("柳奶奶按铃：面板立刻回应", "Grandma Liu presses: her panel answers at once"),
            (Shows(PANEL, "heard"),),
            gesture=Gesture(PANEL, "help"),
        ),
        PlotStep(
            "received",
            Text("中继已记入数据库，面板显示“收到”", "the relay has it in its database, the panel says so"),
            (Noted(NoteType.RAISED), Shows(PANEL, "received", later="ringing")),
        ),
        PlotStep(
            "first_bell",
            Text("彭小平的门铃响：叮咚", "Peng Xiaoping's bell rings: ding-dong"),
            (Noted(NoteType.STEP_STARTED, (("step", 1), ("bells", FIRST))), Sounds(FIRST)),
        ),
        PlotStep(
            "panel_ringing",
            Text("面板显示：门铃真的响了", "the panel shows that a bell really rings"),
            (Noted(NoteType.SOUNDING, (("bells", FIRST),)), Shows(PANEL, "ringing")),
        ),
        PlotStep(
            "second_bell",
            Text("无人应答：张阿姨的门铃也响", "no answer: Aunt Zhang's bell rings too"),
            (Noted(NoteType.STEP_STARTED, (("step", 2), ("bells", SECOND))), Sounds(SECOND)),
            waits=1,
        ),
        PlotStep(
            "alliance_bell",
            Text("仍无人应答：联盟出动，社区医生的门铃响", "still no answer: the alliance, the doctor's bell rings"),
            (Noted(NoteType.STEP_STARTED, (("step", 3), ("bells", DOCTOR))), Sounds(DOCTOR)),
            waits=2,
        ),
        PlotStep(
            "office_told",
            Text("社区办公室收到消息", "the community office gets the message"),
            (Noted(NoteType.STEP_STARTED, (("step", 3), ("hooks", OFFICE_HOOK))), OfficeTold()),
            waits=2,
        ),
        PlotStep(
            "accepted",
            Text("医生按门铃：我来", "the doctor presses the bell: I am coming"),
            (Noted(NoteType.ACCEPTED, (("person", HELPER.person),)), Shows(DOCTOR, "mine")),
            gesture=Gesture(DOCTOR, "answer"),
        ),
        PlotStep(
            "panel_coming",
            Text("面板显示：社区医生来了", "the panel shows that the doctor is coming, by name"),
            (Shows(PANEL, "coming"), Names(PANEL, helper)),
        ),
        PlotStep(
            "bells_quiet",
            Text("所有门铃安静，另外两家看到有人去了", "every bell is quiet, the other two show that somebody goes"),
            (AllQuiet(), Shows(FIRST, "taken"), Shows(SECOND, "taken")),
        ),
        PlotStep(
            "arrived",
            Text("医生到了：柳奶奶按绿色键", "the doctor is there: Grandma Liu presses green"),
            (Noted(NoteType.ARRIVED, (("person", HELPER.person),)), Shows(PANEL, "arrived")),
            gesture=Gesture(PANEL, "ok"),
        ),
        PlotStep(
            "done",
            Text("医生按住门铃三秒：办完了", "the doctor holds the bell for three seconds: done"),
            (Noted(NoteType.CLOSED, (("outcome", Outcome.HELPED.value),)), Shows(PANEL, "closed")),
            gesture=Gesture(DOCTOR, "answer", hold=True),
        ),
        PlotStep(
            "at_rest_again",
            Text("一切恢复安静", "everything is at rest again"),
            (AtRest(),),
        ),
    )
