"""What devices are shown: never more than is so, and never more than fits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    MAX_RINGS,
    STORED_COUNT,
    AlarmKind,
    Coverage,
    Desired,
    Neighbour,
    Ring,
    Stage,
    decode,
)
from doorbell.wire.messages import MAX_PEERS
from relay.core.alarm import Accepted, Alarm, AlarmStage, NoteType
from relay.core.desired import (
    MAX_CONTENT_BYTES,
    content_for,
    content_of,
    desired_for,
    panel_alarm,
    payload_of,
    rings_for,
)
from relay.core.notice import MAX_ATTEMPTS, next_attempt, notice_body
from relay.core.register import Community, Device, DeviceRole, Household, Person, Register
from tests.relay.core.situations import SITUATIONS, Story, at
from tests.relay.doubles import BELLS, DOCTOR, PANEL, PENG, T0, WANG, C, neighbourhood, uid

REGISTER = neighbourhood()


def shown(device: str, alarms: list[Alarm], register: Register = REGISTER) -> Desired:
    """As the device reads it."""
    desired = desired_for(register, register.devices[device], alarms, frozenset(BELLS))
    return decode(Desired, payload_of(7, [uid(5)], content_of(desired)))


# ---------------------------------------------------------------------------------------------------------------------
# The panel


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_panel_never_says_more_than_is_so(situation: str) -> None:
    alarm = SITUATIONS[situation]().alarm
    said = panel_alarm(REGISTER, "liu", [alarm])
    if not alarm.is_open:
        assert said is None
        return
    assert said is not None
    assert (said.id, said.since) == (alarm.id, alarm.since)
    assert (said.stage is Stage.RINGING) == (alarm.stage is AlarmStage.RINGING and alarm.sounding != ())
    assert (said.stage is Stage.ACCEPTED) == (alarm.stage is AlarmStage.ACCEPTED)
    assert (said.stage is Stage.ARRIVED) == (alarm.stage is AlarmStage.ARRIVED)
    coming = alarm.stage in (AlarmStage.ACCEPTED, AlarmStage.ARRIVED)
    assert said.who == ("彭小平" if coming else None), "a name is shown only while that person is coming or there"


def test_the_panel_shows_help_before_a_checkin_and_no_technical_matter() -> None:
    alarm = SITUATIONS["fresh"]().alarm
    checkin = replace(alarm, id=uid(2), kind=AlarmKind.CHECKIN, raised_at=T0 - timedelta(days=1))
    technical = replace(alarm, id=uid(3), kind=AlarmKind.TECHNICAL)
    for alarms, expected in [
        ([checkin, alarm, technical], uid(1)),
        ([technical, checkin], uid(2)),
        ([technical], None),
        ([replace(alarm, household="chen")], None),
    ]:
        said = panel_alarm(REGISTER, "liu", alarms)
        assert (said.id if said is not None else None) == expected


def test_a_panel_is_told_coverage_peers_and_settings() -> None:
    said = shown(PANEL, [])
    assert said.panel is not None
    assert (said.panel.alarm, said.panel.coverage) == (None, Coverage.COVERED)
    assert said.peers == (PENG, WANG)
    assert said.settings.language == "zh-CN"
    assert (said.rings, said.rev, said.stored) == ((), 7, (uid(5),))


def test_a_panel_that_no_household_has_is_shown_nothing_of_any() -> None:
    spare = Device("button-spare", C, DeviceRole.PANEL)
    assert desired_for(REGISTER, spare, [Story().alarm], frozenset(BELLS)).panel is None
    odd = replace(REGISTER.devices[PENG], household="liu")
    assert desired_for(REGISTER, odd, [Story().alarm], frozenset(BELLS)).panel is None, "nor does a bell become one"


@pytest.mark.parametrize("role", DeviceRole)
def test_what_is_registered_for_a_device_is_what_it_is_told(role: DeviceRole) -> None:
    made = Device("new", C, role, household="chen", person="peng", volume=30, report_interval_s=20)
    register = replace(REGISTER, devices={"new": made}, communities={C: Community(C, "x", "en")})
    said = shown("new", [], register).settings
    assert (said.volume, said.report_interval_s, said.language) == (30, 20, "en")
    assert shown("new", [], replace(register, communities={})).settings.language is None


def test_whoever_is_registered_no_more_is_no_neighbour() -> None:
    people = {"peng": REGISTER.people["peng"]}
    assert [one.device for one in shown(PANEL, [], replace(REGISTER, people=people)).neighbours] == [PENG]


def test_what_stands_for_a_name_that_is_gone_fits_the_wire() -> None:
    """A bell refuses a state with a label of more than 40 characters, and does not ring."""
    alarm = replace(Story().alarm, household="h" * 63)
    (said,) = shown(PENG, [alarm]).rings
    assert (said.label, said.place) == ("h" * 40, "")
    alarm = Story().at(5).happens(Accepted("p" * 63, PENG, at(5))).alarm
    (said,) = shown(PENG, [alarm]).rings
    assert said.who == "p" * 40


def test_a_name_that_is_no_longer_registered_is_shown_as_its_id() -> None:
    alarm = Story().at(5).accept("peng").alarm
    people = {key: person for key, person in REGISTER.people.items() if key != "peng"}
    said = panel_alarm(replace(REGISTER, people=people), "liu", [alarm])
    assert said is not None
    assert said.who == "peng"


# ---------------------------------------------------------------------------------------------------------------------
# Bells


def ring(bell: str, alarm: Alarm) -> tuple[Stage, str | None, bool] | None:
    rings = rings_for(REGISTER, REGISTER.devices[bell], [alarm])
    return (rings[0].stage, rings[0].who, rings[0].mine) if rings else None


def test_a_bell_rings_from_its_call_on_and_says_who_goes() -> None:
    story = Story().at(1).sound(PENG)
    assert ring(PENG, story.alarm) == (Stage.RINGING, None, False)
    assert ring(WANG, story.alarm) is None, "not called yet"
    story.until(50)
    assert ring(WANG, story.alarm) == (Stage.RINGING, None, False)
    story.accept("peng")
    assert ring(PENG, story.alarm) == (Stage.ACCEPTED, "彭小平", True)
    assert ring(WANG, story.alarm) == (Stage.ACCEPTED, "彭小平", False)
    story.at(99).ok(12)
    assert ring(PENG, story.alarm) == (Stage.ARRIVED, "彭小平", True)
    assert ring(WANG, story.alarm) is None, "somebody is there: nothing to show to others"
    story.at(120).done("peng")
    assert ring(PENG, story.alarm) is None


def test_who_declined_is_left_in_peace_also_when_somebody_else_goes() -> None:
    story = Story().at(1).decline("peng")
    assert ring(PENG, story.alarm) is None
    story.accept("wang")
    assert ring(PENG, story.alarm) is None


def test_both_bells_of_a_person_show_the_same() -> None:
    alarm = replace(Story().at(5).accept("peng").alarm, called=(PENG, "bell-peng-2"))
    bell = Device("bell-peng-2", C, DeviceRole.BELL, person="peng")
    (said,) = rings_for(REGISTER, bell, [alarm])
    assert said.mine


def test_a_ring_says_whom_where_and_how_often() -> None:
    alarm = Story().at(5).press(11).alarm
    (said,) = shown(PENG, [alarm]).rings
    assert said.model_dump(by_alias=True, mode="json") == {
        "alarm": uid(1),
        "kind": "help",
        "from": PANEL,
        "label": "柳奶奶",
        "place": "西湖山小区 3栋502",
        "raised_at": "2026-11-23T06:43:00.000Z",
        "stage": "ringing",
        "presses": 2,
        "who": None,
        "mine": False,
    }


def test_what_is_made_without_a_look_at_each_field_is_as_if_it_had_been_read() -> None:
    """Equal, with every field said; the short way leaves nothing out that the library asks for."""
    (ring,) = rings_for(REGISTER, REGISTER.devices[PENG], [Story().at(1).sound(PENG).alarm])
    read = Ring.model_validate_json(ring.model_dump_json(by_alias=True))
    assert ring == read
    assert ring.model_fields_set == set(Ring.model_fields)
    assert ring.model_copy(update={"presses": 2}) != read


def test_names_and_places_go_to_called_bells_only() -> None:
    alarm = Story().at(5).accept("peng").alarm
    assert "彭" not in shown("button-chen", [alarm]).model_dump_json()
    assert "柳" not in shown(DOCTOR, [alarm]).model_dump_json()
    assert "柳" not in shown(PANEL, [alarm]).model_dump_json()


def test_the_most_urgent_eight_are_shown_ringing_first_then_mine_then_by_kind_and_age() -> None:
    base = Story().alarm
    ringing_late = replace(base, id=uid(20), raised_at=at(99))
    checkin = replace(base, id=uid(21), kind=AlarmKind.CHECKIN, raised_at=at(-99))
    mine = replace(Story().at(5).accept("peng").alarm, id=uid(22), raised_at=at(50))
    others = replace(Story().at(5).accept("wang").alarm, id=uid(23))
    more = [replace(base, id=uid(30 + n), raised_at=at(n)) for n in range(MAX_RINGS)]
    order = [r.alarm for r in rings_for(REGISTER, REGISTER.devices[PENG], [others, mine, checkin, ringing_late])]
    assert order == [uid(20), uid(21), uid(22), uid(23)]
    shown_ids = [r.alarm for r in rings_for(REGISTER, REGISTER.devices[PENG], [others, mine, *reversed(more)])]
    assert shown_ids == [uid(30 + n) for n in range(MAX_RINGS)]


def test_a_bell_is_told_the_panels_that_may_ring_it_directly() -> None:
    assert shown(PENG, []).peers == (PANEL,)
    assert shown(DOCTOR, []).peers == ()


def test_the_names_behind_peers_go_to_those_who_must_speak_them() -> None:
    assert shown(PENG, []).neighbours == (Neighbour(device=PANEL, label="柳奶奶", place="西湖山小区 3栋502"),)
    names = [(one.device, one.label, one.place) for one in shown(PANEL, []).neighbours]
    assert names == [(PENG, "彭小平", ""), (WANG, "王芳", "")]
    assert shown(DOCTOR, []).neighbours == ()


@pytest.mark.parametrize(("char", "named"), [("柳", 0), ("𠮷", 0), ('"', 4), ("é", 4)])
def test_neighbours_yield_to_rings_where_not_all_fits(char: str, named: int) -> None:
    register, alarms = crowded(char)
    bell = register.devices["b" * 63]
    full = decode(Desired, payload_of(1, (), content_of(desired_for(register, bell, alarms, ()))))
    assert len(full.neighbours) == named
    whole = desired_for(register, bell, [], ())
    quiet = decode(Desired, payload_of(1, (), content_of(whole)))
    assert 10 <= len(quiet.neighbours) <= MAX_PEERS
    assert [one.device for one in quiet.neighbours] == list(quiet.peers[: len(quiet.neighbours)])
    more = whole.model_copy(update={"neighbours": whole.neighbours[: len(quiet.neighbours) + 1]})
    too_long = len(more.model_dump_json().encode()) > MAX_CONTENT_BYTES
    assert too_long or quiet.neighbours == whole.neighbours, "no more is left out than must be"


# ---------------------------------------------------------------------------------------------------------------------
# What fits


def crowded(char: str) -> tuple[Register, list[Alarm]]:
    """A register with everything at its limits, and more alarms than a bell can show."""
    homes = {
        f"h{n}": Household(f"h{n}", C, char * 40, char * 60, ("p",) if n < MAX_PEERS + 4 else ()) for n in range(40)
    }
    panels = {f"{n}".rjust(63, "x"): f"h{n}" for n in range(40)}
    bell = Device("b" * 63, C, DeviceRole.BELL, person="p", volume=100, report_interval_s=3600)
    register = Register(
        communities={C: Community(C, "c")},
        households=homes,
        people={"p": Person("p", C, char * 40)},
        devices={bell.id: bell, **{p: Device(p, C, DeviceRole.PANEL, household=h) for p, h in panels.items()}},
    )
    base = Story().at(5).accept("peng").alarm
    helper = replace(base.helpers[0], person="p")
    alarms = [
        replace(base, id=uid(n), household=f"h{n}", source=panel, called=(bell.id,), helpers=(helper,), presses=10**6)
        for n, panel in enumerate(panels)
    ]
    return register, alarms


@pytest.mark.parametrize(("char", "rings"), [("a", 8), ("柳", 8), ("𠮷", 7), ('"', 8), ("\x01", 5)])
def test_the_fullest_desired_fits_and_what_does_not_fit_waits(char: str, rings: int) -> None:
    """Eight rings with labels of rare characters were over 8 KiB: the relay ended itself, again and again."""
    register, alarms = crowded(char)
    desired = desired_for(register, register.devices["b" * 63], alarms, ())
    one_more = desired.model_copy(update={"neighbours": (), "rings": desired.rings[: rings + 1]})
    assert rings == MAX_RINGS or len(one_more.model_dump_json().encode()) > MAX_CONTENT_BYTES, "no more waits than must"
    payload = payload_of(2**53 - 1, [uid(n) for n in range(STORED_COUNT)], content_of(desired))
    assert len(payload) <= MAX_PAYLOAD_BYTES
    read = decode(Desired, payload)
    assert len(read.rings) == rings
    assert len(read.peers) == MAX_PEERS
    assert len(read.stored) == STORED_COUNT


def test_the_fullest_panel_fits() -> None:
    register, alarms = crowded("𠮷")
    panel = next(d for d in register.devices.values() if d.role is DeviceRole.PANEL)
    payload = payload_of(
        2**53 - 1, [uid(n) for n in range(STORED_COUNT)], content_of(desired_for(register, panel, alarms, ()))
    )
    assert decode(Desired, payload).panel is not None


# ---------------------------------------------------------------------------------------------------------------------
# A part that is known already


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_content_with_a_known_end_is_the_same_to_the_last_byte(situation: str) -> None:
    alarm = SITUATIONS[situation]().alarm
    devices = [*REGISTER.devices.values(), Device("button-spare", C, DeviceRole.PANEL)]
    for device in devices:
        for online in (frozenset(BELLS), frozenset[str]()):
            before, length = content_for(REGISTER, device, [], online)
            assert length > 0
            whole = content_of(desired_for(REGISTER, device, [alarm], online))
            said = content_for(REGISTER, device, iter([alarm]), online, before[-length:])
            assert said == (whole, length)
            assert content_for(REGISTER, device, [], online, whole[-length:]) == (before, length)


@pytest.mark.parametrize("char", ["a", "柳", "𠮷", '"', "\x01"])
def test_the_end_of_a_content_from_which_something_was_left_out_is_not_used_again(char: str) -> None:
    """Neighbours that yielded to rings come back with the end of the rings."""
    register, alarms = crowded(char)
    bell = register.devices["b" * 63]
    quiet, quiet_length = content_for(register, bell, [], ())
    known = quiet[-quiet_length:] if quiet_length else b""
    whole = content_of(desired_for(register, bell, alarms, ()))
    content, length = content_for(register, bell, alarms, (), known)
    assert content == whole
    assert content_for(register, bell, alarms, ())[0] == whole
    later = content[-length:] if length else b""
    assert content_for(register, bell, [], (), later)[0] == quiet


# ---------------------------------------------------------------------------------------------------------------------
# Notices


@pytest.mark.parametrize(
    ("language", "occasion", "text"),
    [
        ("zh-CN", NoteType.STEP_STARTED, "【爱心门铃】柳奶奶（西湖山小区 3栋502）：求助，还没有人赶到"),
        ("zh-CN", NoteType.OVERDUE, "【爱心门铃】柳奶奶（西湖山小区 3栋502）：求助，已有人到达，但尚未确认完成"),
        (
            "en",
            NoteType.STEP_STARTED,
            "[Love Doorbell] 柳奶奶 (西湖山小区 3栋502): calls for help; nobody is there yet",
        ),
        (
            "en-GB",
            NoteType.OVERDUE,
            "[Love Doorbell] 柳奶奶 (西湖山小区 3栋502): calls for help; arrived, but nobody has said that it is done",
        ),
    ],
)
def test_what_a_group_is_told(language: str, occasion: NoteType, text: str) -> None:
    register = replace(REGISTER, communities={C: Community(C, "西湖社区", language)})
    assert notice_body(register, Story().alarm, occasion) == {
        "occasion": occasion.value,
        "alarm": uid(1),
        "kind": "help",
        "stage": "ringing",
        "community": C,
        "household": "liu",
        "label": "柳奶奶",
        "place": "西湖山小区 3栋502",
        "raised_at": "2026-11-23T06:43:00.000Z",
        "presses": 1,
        "step": 1,
        "nobody_has_come": False,
        "text": text,
    }


@pytest.mark.parametrize(
    ("kind", "chinese", "english"),
    [
        (AlarmKind.HELP, "求助", "calls for help"),
        (AlarmKind.CHECKIN, "请去看看", "please look in"),
        (AlarmKind.TECHNICAL, "设备故障", "a device has failed"),
        (AlarmKind.REQUEST, "需要帮忙", "needs something"),
        (AlarmKind.TEST, "测试", "test"),
    ],
)
def test_every_kind_has_its_words(kind: AlarmKind, chinese: str, english: str) -> None:
    alarm = replace(Story().alarm, kind=kind)
    for language, words in (("zh-CN", f"：{chinese}，还"), ("en", f": {english}; nobody")):
        register = replace(REGISTER, communities={C: Community(C, "x", language)})
        assert words in notice_body(register, alarm, NoteType.RAISED)["text"]
    assert notice_body(Register(), alarm, NoteType.RAISED)["label"] == "liu"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_home_without_a_place_is_told_by_its_name_alone(language: str) -> None:
    register = replace(REGISTER, communities={C: Community(C, "x", language)}, households={})
    said = notice_body(register, Story().alarm, NoteType.RAISED)
    assert (said["label"], said["place"]) == ("liu", "")
    assert "liu：" in said["text"] or "liu: " in said["text"]


@pytest.mark.parametrize(("attempts", "wait_s"), [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (60, 60)])
def test_a_hook_is_tried_again_less_and_less_often(attempts: int, wait_s: int) -> None:
    assert next_attempt(T0, attempts) == T0 + timedelta(seconds=wait_s)


def test_a_hook_is_tried_for_about_an_hour() -> None:
    waited = sum((next_attempt(T0, attempts) - T0 for attempts in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(minutes=50) < waited < timedelta(minutes=60)
