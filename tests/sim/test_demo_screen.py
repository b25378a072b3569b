"""The screen is whole at every size and in both languages, and says what matters."""

from __future__ import annotations

import string
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from device.core.signals import Light
from relay.core.alarm import AlarmStage, Outcome
from relay.texts import Language, Text
from sim import demo_words
from sim.demo_alarms import AlarmView, alarms_from
from sim.demo_cast import BELLS, DEVICES, demo_policy
from sim.demo_live import gesture_for
from sim.demo_plot import Gesture
from sim.demo_screen import Picture, draw
from sim.demo_sightings import DeviceView, JournalLine, OfficeMessage, Remark, Sighting
from tests.sim.demo_stage import ALARM, EPOCH, line

POLICY = demo_policy(3)
WHO = {Language.ZH: "张阿姨", Language.EN: "Aunt Zhang"}


def alarm(stage: AlarmStage = AlarmStage.RINGING, household: str = "home-liu", **facts: object) -> AlarmView:
    return AlarmView(household, household, raised_s=0.0, stage=stage, until_s=17.4, **facts)  # type: ignore[arg-type]


def picture(*alarms: AlarmView, light: str = Light.RINGING, **facts: object) -> Picture:
    views = {device: DeviceView(device, light, light, lit=True, sounding=(ALARM,), link=True) for device in DEVICES}
    told = [(EPOCH, line(n, "step_started", step=n, bells=list(BELLS), hooks=[], wait_s=45)) for n in range(40)]
    lines: list[tuple[object, object]] = [*told, (EPOCH, Remark(Text("中继又启动了", "relay started again")))]
    messages = [OfficeMessage("step_started", ALARM, "【爱心门铃】柳奶奶（西湖山小区 3栋502）：求助，还没有人赶到")] * 9
    base = {"devices": views, "alarms": alarms, "lines": lines, "messages": messages, "policy": POLICY}
    return Picture(**{**base, "speed": 3.0, "relay_up": True, "now_s": 10.0, **facts})  # type: ignore[arg-type]


def rows(what: Picture, language: Language, width: int = 100, height: int = 30) -> list[str]:
    out = StringIO()
    console = Console(
        file=out, width=width, height=height, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(draw(what, language, width, height))
    return out.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("size", [(60, 20), (80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize(
    "what",
    [
        picture(light=Light.COVERED, messages=(), lines=()),
        picture(alarm()),
        picture(alarm(), alarm(household="home-zhou", step=4, rounds=12, presses=1234)),
        picture(alarm(AlarmStage.ACCEPTED, person="zhang"), light=Light.COMING),
        picture(alarm(AlarmStage.ARRIVED, person="doctor"), light=Light.ARRIVED, relay_up=False),
        picture(alarm(AlarmStage.CLOSED, outcome="helped"), light=Light.UNREACHABLE),
        picture(alarm(), show_help=True),
        picture(devices={}),
    ],
)
def test_the_screen_has_its_size_and_no_line_is_wider(what: Picture, size: tuple[int, int], language: Language) -> None:
    drawn = rows(what, language, *size)
    assert len(drawn) == size[1]
    assert max(map(cell_len, drawn)) <= size[0]


@pytest.mark.parametrize("language", list(Language))
def test_a_small_window_is_told_so(language: Language) -> None:
    assert demo_words.TOO_SMALL.say(language) in "".join(rows(picture(), language, 59, 20))


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("width", [80, 100])
def test_the_open_alarm_says_who_is_called_and_how_long_is_left(language: Language, width: int) -> None:
    text = "\n".join(rows(picture(alarm(step=2)), language, width, 24))
    for words in (demo_words.STAGES[AlarmStage.RINGING], demo_words.RINGING_HINT):
        assert words.say(language) in text
    assert demo_words.SECONDS_LEFT.say(language, left="7") in text
    assert {Language.ZH: "▶ 2 两位志愿者", Language.EN: "▶ 2 both volunteers"}[language] in text


@pytest.mark.parametrize("language", list(Language))
def test_the_panel_names_who_is_coming_and_the_screen_says_what_to_press(language: Language) -> None:
    what = picture(alarm(AlarmStage.ACCEPTED, household="home-zhou", person="zhang"), light=Light.COMING)
    text = "\n".join(rows(what, language))
    assert demo_words.STAGES[AlarmStage.ACCEPTED].say(language, who=WHO[language]) in text
    assert demo_words.ACCEPTED_HINT.say(language, ok="O") in text


def test_the_newest_lines_of_the_journal_are_shown() -> None:
    text = "\n".join(rows(picture(alarm()), Language.EN))
    assert "relay started again" in text
    assert "step 39" in text
    assert "step 1:" not in text


def test_every_light_and_outcome_has_its_words() -> None:
    assert set(demo_words.LOOKS) == {light.value for light in Light}
    assert set(demo_words.OUTCOME_WORDS) == {outcome.value for outcome in Outcome}


def test_both_languages_fill_in_the_same_names() -> None:
    def texts(value: object) -> list[Text]:
        match value:
            case Text():
                return [value]
            case dict():
                return [text for item in value.values() for text in texts(item)]
            case tuple():
                return [text for item in value for text in texts(item)]
            case demo_words.Look():
                return [value.words]
            case _:
                return []

    found = [text for value in vars(demo_words).values() for text in texts(value)]
    assert len(found) > 50
    for text in found:
        zh, en = ([name for _, name, _, _ in string.Formatter().parse(words) if name] for words in (text.zh, text.en))
        assert sorted(zh) == sorted(en), text


@pytest.mark.parametrize(
    ("key", "gesture"),
    [
        ("1", Gesture("panel-liu", "help")),
        ("2", Gesture("panel-zhou", "help")),
        ("o", Gesture("panel-liu", "ok")),
        ("O", Gesture("panel-zhou", "ok")),
        ("a", Gesture("bell-peng", "answer")),
        ("C", Gesture("bell-doctor", "answer", hold=True)),
        ("y", Gesture("bell-zhang", "decline")),
        ("q", None),
        ("", None),
    ],
)
def test_keys_are_fingers(key: str, gesture: Gesture | None) -> None:
    assert (gesture_for(key) if key else None) == gesture


def sightings(*told: tuple[float, JournalLine]) -> list[Sighting]:
    return [Sighting(at_s, what) for at_s, what in told]


def test_an_alarm_is_told_by_the_journal_from_the_press_to_the_end() -> None:
    told = [
        (1.0, line(0, "raised")),
        (1.0, line(0, "step_started", step=1, bells=["bell-peng"], wait_s=15)),
        (2.0, line(0, "sounding", bells=["bell-peng"])),
        (3.0, line(0, "pressed_again", presses=2)),
        (16.0, line(0, "step_started", step=2, bells=["bell-peng", "bell-zhang"], wait_s=15)),
    ]
    (ringing,) = alarms_from(sightings(*told), POLICY, now_s=17.0)
    assert (ringing.stage, ringing.step, ringing.presses, ringing.until_s) == (AlarmStage.RINGING, 2, 2, 31.0)
    assert ringing.sounding == ("bell-peng",)
    told += [(20.0, line(0, "accepted", person="zhang")), (20.1, line(0, "silent", bells=["bell-peng"]))]
    (accepted,) = alarms_from(sightings(*told), POLICY, now_s=21.0)
    assert (accepted.stage, accepted.person, accepted.until_s) == (AlarmStage.ACCEPTED, "zhang", 220.0)
    assert accepted.sounding == ()
    told += [(220.0, line(0, "not_arrived", person="zhang")), (220.0, line(0, "step_repeated", step=4, wait_s=40))]
    (again,) = alarms_from(sightings(*told), POLICY, now_s=221.0)
    assert (again.stage, again.step, again.rounds, again.person) == (AlarmStage.RINGING, 4, 1, None)
    told += [(230.0, line(0, "closed", outcome="helped"))]
    assert alarms_from(sightings(*told), POLICY, now_s=231.0)[0].outcome == "helped"
    assert alarms_from(sightings(*told), POLICY, now_s=239.0) == []
