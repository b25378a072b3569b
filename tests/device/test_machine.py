"""The whole core of a device: what is passed on, what is told of, and what is nobody's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from device.core.bell import Answer, BellLimits, BellState
from device.core.button import Edge, Sample
from device.core.effects import Chime, Effect, Ignored, Keep, Noted, OutboxRow, Play, Send, Show, Tell, Tune
from device.core.line import lines_deadline, lines_due, new_line
from device.core.machine import (
    DesiredArrived,
    DeviceInput,
    DeviceLimits,
    DeviceState,
    LineInput,
    RowsFound,
    Trouble,
    advance_device,
    device_deadline,
    new_device,
)
from device.core.moment import Moment
from device.core.panel import PanelLimits, PanelState
from device.core.peer import PeerLimits
from device.core.role import ButtonName, LinkChanged, PeerSaid, Role, TimePassed
from device.core.signals import Light, Tone
from doorbell.wire import AlarmKind, ClockState, Desired, DeviceSettings, EventType, Panel, PanelAlarm, Ring, Stage
from tests.device.direct import E1, E2, PANEL, STRANGER, said
from tests.device.doubles import ALARM, OTHER, START

LIMITS = DeviceLimits()
NOW = 1_000_000
BUTTONS = {Role.PANEL: (ButtonName.HELP, ButtonName.OK), Role.BELL: (ButtonName.ANSWER, ButtonName.DECLINE)}


class Device:
    """A device's core and everything that it asked for."""

    def __init__(
        self, role: Role = Role.PANEL, rows: tuple[OutboxRow, ...] = (), limits: DeviceLimits = LIMITS
    ) -> None:
        self.now_ms = NOW
        self.limits = limits
        lines = dict.fromkeys(BUTTONS[role], False)
        self.state: DeviceState = new_device(
            role=role, lines=lines, rows=rows, next_seq=len(rows) + 1, now_ms=NOW, limits=LIMITS
        )

    def tell(self, event: DeviceInput, after_ms: int = 0) -> list[Effect]:
        self.now_ms += after_ms
        moment = Moment(self.now_ms, START, True, "boot-1", 7, 0.0)
        self.state, effects = advance_device(self.state, event, moment, self.limits)
        return list(effects)

    def line(self, name: ButtonName, *, active: bool, after_ms: int) -> list[Effect]:
        """A change of a line, and the look at it when it has been calm."""
        edge = self.tell(LineInput(name, Edge(active, self.now_ms + after_ms)), after_ms)
        return edge + self.tell(LineInput(name, Sample(active)), 30)

    def press(self, name: ButtonName, after_ms: int = 1_000) -> list[Effect]:
        return self.line(name, active=True, after_ms=after_ms) + self.line(name, active=False, after_ms=100)


def of(effects: list[Effect], kind: type[Any]) -> list[Any]:
    return [one for one in effects if isinstance(one, kind)]


def row(seq: int, kind: EventType, alarm: str | None = None, id_: str = "") -> OutboxRow:
    return OutboxRow(seq, id_ or f"id-{seq}", kind, START, ClockState.SYNCED, "boot-1", NOW, alarm)


# --- buttons ----------------------------------------------------------------------------------------------------------


def test_a_button_that_is_not_fitted_is_named_and_changes_nothing() -> None:
    device = Device()
    before = device.state
    effects = device.tell(LineInput(ButtonName.ANSWER, Edge(True, NOW)))
    assert of(effects, Ignored) == [Ignored("no_such_button", ButtonName.ANSWER)]
    assert replace(device.state, light=before.light) == before


def test_a_press_is_noted_for_a_technician_and_goes_into_the_outbox() -> None:
    device = Device()
    effects = device.press(ButtonName.HELP)
    assert Noted("button.pressed", ButtonName.HELP) in effects
    (kept,) = of(effects, Keep)
    assert kept.row.type is EventType.HELP


def test_a_hold_counts_from_its_press_and_never_lies_ahead() -> None:
    """Of a bell's hold its end is told: done three seconds after the press, though it is looked at later."""
    device = Device(Role.BELL)
    device.state = replace(device.state, role=BellState(link_up=True, accepted=(ALARM,)))
    device.line(ButtonName.ANSWER, active=True, after_ms=1_000)
    pressed_ms = NOW + 1_000
    late = device.tell(LineInput(ButtonName.ANSWER, Sample(True)), 9_000)
    (kept,) = of(late, Keep)
    assert (kept.row.type, kept.row.born_ms) == (EventType.DONE, pressed_ms + LIMITS.button.hold_ms)


def test_edges_that_mean_nothing_and_edges_that_were_lost_are_told_of() -> None:
    device = Device()
    device.line(ButtonName.HELP, active=True, after_ms=1_000)
    same = device.tell(LineInput(ButtonName.HELP, Edge(True, device.now_ms + 500)), 500)
    assert Ignored("edge_repeated", ButtonName.HELP) in same
    found = device.tell(LineInput(ButtonName.HELP, Sample(False)), 5_000)
    found += device.tell(LineInput(ButtonName.HELP, Sample(False)), 30)
    assert Noted("button.edge_lost", ButtonName.HELP) in found


@pytest.mark.parametrize(("name", "reason"), [(ButtonName.HELP, "press_deferred"), (ButtonName.OK, "press_doubted")])
def test_a_press_that_a_worn_contact_gives_too_often_is_deferred_for_help_and_doubted_for_the_rest(
    name: ButtonName, reason: str
) -> None:
    device = Device()
    for _ in range(device.limits.contact.press_burst):
        assert Noted("button.pressed", name) in device.press(name, 200)
    effects = device.press(name, 200)
    assert Ignored(reason, name) in effects
    assert Noted("button.pressed", name) not in effects


def test_a_deferred_press_is_answered_at_once_and_then_every_two_seconds_and_a_doubted_one_never() -> None:
    """It may be a finger: somebody who presses must see that the panel lives, and a wet contact must not sing."""
    for name, answered in ((ButtonName.HELP, [True, False, True]), (ButtonName.OK, [False, False, False])):
        device = Device()
        for _ in range(device.limits.contact.press_burst):
            device.press(name, 200)
        heard = [Play(Tone.HEARD) in device.press(name, after_ms) for after_ms in (200, 200, 2_000)]
        assert heard == answered


def test_the_light_of_a_panel_at_rest_answers_a_deferred_press_for_two_seconds() -> None:
    device = Device()
    device.tell(DesiredArrived(Desired(rev=1, panel=Panel())))
    for _ in range(device.limits.contact.press_burst):
        device.press(ButtonName.HELP, 200)
    waiting = tuple(one.row.id for one in device.state.outbox.waiting)
    device.tell(DesiredArrived(Desired(rev=2, panel=Panel(), stored=waiting)))
    device.tell(TimePassed(), 6_000)
    assert Show(Light.HEARD) in device.line(ButtonName.HELP, active=True, after_ms=200), "in the same turn"
    assert device.state.light is Light.HEARD
    assert device.state.echo_until_ms is not None
    left_ms = device.state.echo_until_ms - device.now_ms
    assert device.tell(TimePassed(), left_ms - 1) == []
    assert device.tell(TimePassed(), 1) == [Show(Light.OFFLINE)]


@pytest.mark.parametrize("role", Role)
def test_a_device_shows_its_light_in_its_very_first_turn(role: Role) -> None:
    assert Show(Light.OFFLINE) in Device(role).tell(TimePassed())


def test_what_the_chime_sounds_for_is_said_once_and_again_when_it_is_another() -> None:
    """Said anew in the middle of a ring it would begin from its softest."""

    def calling(*alarms: str) -> DesiredArrived:
        rings = [Ring(alarm=alarm, kind=AlarmKind.HELP, from_=f"button-{alarm[-1]}", label="柳奶奶", raised_at=START,
                      stage=Stage.RINGING) for alarm in alarms]  # fmt: skip
        return DesiredArrived(Desired(rev=device.state.twin.rev + 1, rings=tuple(rings)))

    device = Device(Role.BELL)
    told = [of(device.tell(event), Chime) for event in (
        TimePassed(), LinkChanged(up=True), calling(ALARM), LinkChanged(up=False), calling(ALARM, OTHER),
        LinkChanged(up=True), calling(), LinkChanged(up=False),
    )]  # fmt: skip
    sounded = [[[call.alarm for call in chime.calls] for chime in chimes] for chimes in told]
    assert sounded == [[], [], [[ALARM]], [], [[ALARM, OTHER]], [], [[]], []]


def test_lines_are_looked_at_when_the_first_is_due() -> None:
    lines = {ButtonName.HELP: new_line(NOW, active=True), ButtonName.OK: new_line(NOW, active=False)}
    limits = (LIMITS.button, LIMITS.contact)
    at = lines_deadline(lines, *limits)
    assert at is not None
    assert lines_due(lines, at - 1, *limits) == ()
    assert lines_due(lines, at, *limits) == (ButtonName.HELP,)
    later = {**lines, ButtonName.OK: new_line(NOW + 50, active=True)}
    assert lines_deadline(later, *limits) == at


# --- the moment -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall_s", "synced", "clock", "under_way_ms"),
    [
        (5, True, ClockState.SYNCED, 3_000),
        (2, True, ClockState.SYNCED, 0),
        (-60, True, ClockState.SYNCED, 0),
        (5, False, ClockState.SYNCED, None),
        (5, True, ClockState.UNSYNCED, None),
    ],
)
def test_how_long_a_word_was_on_its_way_is_known_by_two_clocks_or_not_at_all(
    wall_s: int, clock: ClockState, under_way_ms: int | None, *, synced: bool
) -> None:
    """Said at START and two seconds old then: what is beyond that it has waited in a broker."""
    moment = Moment(NOW, START + timedelta(seconds=wall_s), synced, "boot-1", 7, 0.0)
    word = said(EventType.DONE, age_ms=2_000).model_copy(update={"clock": clock})
    assert moment.under_way_ms(word) == under_way_ms


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_fault_is_told_once_and_cleared_once_and_both_are_noted() -> None:
    device = Device()
    raised = device.tell(Trouble("player_failed", "player", "x" * 300))
    assert Noted("fault.raised", "player_failed player") in raised
    (kept,) = of(raised, Keep)
    assert kept.row.detail == {"code": "player_failed", "subject": "player", "text": "x" * 200, "cleared": False}
    assert device.tell(Trouble("player_failed", "player")) == [Ignored("fault_told_already", "player_failed")]
    cleared = device.tell(Trouble("player_failed", "player", cleared=True))
    assert Noted("fault.cleared", "player_failed player") in cleared
    assert device.tell(Trouble("player_failed", "player", cleared=True)) == [
        Ignored("fault_told_already", "player_failed")
    ]


# --- the relay --------------------------------------------------------------------------------------------------------


def test_a_desired_that_is_older_is_named_and_tunes_nothing() -> None:
    device = Device()
    loud = Desired(rev=5, panel=Panel(), settings=DeviceSettings(volume=90, language="en"))
    assert Tune(90, "en") in device.tell(DesiredArrived(loud))
    assert of(device.tell(DesiredArrived(loud.model_copy(update={"rev": 6}))), Tune) == [], "nothing new"
    old = device.tell(DesiredArrived(Desired(rev=4, panel=Panel(), settings=DeviceSettings(volume=10))))
    assert [one.reason for one in of(old, Ignored)] == ["stale_rev"]
    assert of(old, Tune) == []
    assert device.state.twin.rev == 6


def test_while_the_line_is_down_nothing_is_sent_and_all_of_it_when_it_is_up() -> None:
    device = Device()
    device.tell(LinkChanged(up=True))
    device.tell(LinkChanged(up=False))
    assert of(device.press(ButtonName.HELP), Send) == []
    assert of(device.tell(TimePassed(), 60_000), Send) == []
    assert [one.event.type for one in of(device.tell(LinkChanged(up=True)), Send)] == [EventType.HELP]


def test_a_relay_that_says_something_new_hears_at_once_what_it_has_not_receipted() -> None:
    """What a broker says again is nothing new: the relay may be dead."""
    for rev, sent in ((5, []), (6, [EventType.HELP])):
        device = Device()
        device.tell(LinkChanged(up=True))
        device.tell(DesiredArrived(Desired(rev=5, panel=Panel())))
        device.press(ButtonName.HELP)
        assert len(of(device.tell(TimePassed(), 2_000), Send)) == 1, "sent twice, due in four seconds"
        again = device.tell(DesiredArrived(Desired(rev=rev, panel=Panel())), 100)
        assert [one.event.type for one in of(again, Send)] == sent


def test_a_press_that_lay_on_a_disk_which_could_not_be_read_at_start_is_a_press() -> None:
    device = Device()
    device.tell(RowsFound((row(1, EventType.HELP), row(2, EventType.OK)), 3))
    assert isinstance(device.state.role, PanelState)
    assert [id_ for id_, _ in device.state.role.unreceipted] == ["id-1"]
    assert [one.row.id for one in device.state.outbox.waiting] == ["id-1", "id-2"]


def test_a_press_that_is_found_late_is_shown_in_the_very_turn_whatever_was_promised_meanwhile() -> None:
    """Nobody knows yet whether who comes has heard of it; without a relay the panel must find out that it is alone."""
    device = Device()
    device.tell(LinkChanged(up=True))
    alarm = PanelAlarm(id=ALARM, stage=Stage.ACCEPTED, since=START)
    device.tell(DesiredArrived(Desired(rev=5, panel=Panel(alarm=alarm))))
    assert device.state.light is Light.COMING
    assert of(device.tell(RowsFound((row(1, EventType.HELP, id_=E1),), 2)), Show) == [Show(Light.HEARD)]
    assert device_deadline(device.state, LIMITS) is not None


def test_an_answer_that_lay_on_a_disk_which_could_not_be_read_at_start_stands() -> None:
    device = Device(Role.BELL)
    device.tell(RowsFound((row(1, EventType.ACCEPT, ALARM),), 2))
    assert isinstance(device.state.role, BellState)
    assert [answer.alarm for answer in device.state.role.answers] == [ALARM]


# --- the direct way ---------------------------------------------------------------------------------------------------


def answered() -> Device:
    """A bell that has answered two panels; both are its own, and its line is up and no relay answers."""
    device = Device(Role.BELL, rows=(row(1, EventType.ACCEPT, ALARM, E1), row(2, EventType.ACCEPT, OTHER, E2)))
    device.tell(LinkChanged(up=True))
    device.tell(DesiredArrived(Desired(rev=1, peers=(PANEL, "button-chen"))))
    answers = (
        Answer(E1, EventType.ACCEPT, ALARM, NOW, PANEL, direct=True),
        Answer(E2, EventType.ACCEPT, OTHER, NOW, "button-chen", direct=True),
    )
    device.state = replace(device.state, role=BellState(link_up=True, answers=answers))
    return device


def test_the_panel_that_asks_again_is_told_sooner_and_no_other() -> None:
    device = answered()
    first = of(device.tell(TimePassed(), 3_000), Tell)
    assert [one.to for one in first] == [PANEL, "button-chen"]
    assert of(device.tell(TimePassed(), 1_000), Tell) == []
    device.tell(PeerSaid(PANEL, said(EventType.HELP, id_=ALARM, alarm=None, seq=3)), 2_000)
    again = of(device.tell(TimePassed(), 1), Tell)
    assert [one.to for one in again] == [PANEL]


def test_a_stranger_on_the_direct_way_is_named_and_not_heard() -> None:
    device = answered()
    effects = device.tell(PeerSaid("button-far", said(EventType.HELP, id_=STRANGER, alarm=None, seq=1)))
    assert of(effects, Ignored) == [Ignored("not_a_peer", "button-far")]
    assert isinstance(device.state.role, BellState)
    assert device.state.role.direct == ()


def test_what_is_not_in_the_outbox_any_more_is_told_to_nobody() -> None:
    device = answered()
    device.tell(TimePassed(), 3_000)
    device.tell(DesiredArrived(Desired(rev=2, peers=(PANEL,), stored=(E1, E2))))
    assert device.state.outbox.waiting == ()
    assert of(device.tell(TimePassed(), 60_000), Tell) == []
    assert device.state.peer.due == ()


def test_of_two_answers_the_one_that_the_relay_has_is_told_to_nobody() -> None:
    device = answered()
    device.state = replace(device.state, outbox=replace(device.state.outbox, waiting=device.state.outbox.waiting[:1]))
    assert [(one.to, one.event.id) for one in of(device.tell(TimePassed(), 3_000), Tell)] == [(PANEL, E1)]


@pytest.mark.parametrize("role", Role)
def test_each_role_has_its_own_times_of_the_direct_way(role: Role) -> None:
    hasty, patient = PeerLimits(settle_ms=1_000), PeerLimits(settle_ms=30_000)
    panel, bell = (hasty, patient) if role is Role.PANEL else (patient, hasty)
    device = Device(role, limits=replace(LIMITS, panel=PanelLimits(peer=panel), bell=BellLimits(peer=bell)))
    device.tell(LinkChanged(up=True))
    assert device.state.peer.open_ms == NOW + 1_000


def test_a_device_reports_at_its_first_turn_with_a_line_and_sleeps_until_its_next_heartbeat() -> None:
    device = Device()
    assert device.state.twin.report_at_ms == NOW
    device.tell(LinkChanged(up=True))
    device.tell(TimePassed())
    assert device_deadline(device.state, device.limits) is not None
    assert device.state.twin.report_at_ms == NOW + LIMITS.report_interval_s * 1000


@pytest.mark.parametrize("role", Role)
def test_a_turn_in_which_nothing_happens_leaves_the_very_same_state(role: Role) -> None:
    """By it the shell sees that there is nothing to do: an idle device must cost next to no processor."""
    device = Device(role)
    device.tell(LinkChanged(up=True))
    device.tell(DesiredArrived(Desired(rev=1, peers=(PANEL,), panel=Panel() if role is Role.PANEL else None)))
    device.tell(TimePassed())
    before = device.state
    button = ButtonName.HELP if role is Role.PANEL else ButtonName.ANSWER
    for event in (TimePassed(), LineInput(button, Sample(False))):
        assert device.tell(event, 10) == []
        assert device.state is before


def test_a_line_that_goes_down_is_known_to_all_parts() -> None:
    device = answered()
    device.tell(LinkChanged(up=False))
    assert isinstance(device.state.role, BellState)
    assert (device.state.twin.connected, device.state.role.link_up) == (False, False)
    assert of(device.tell(TimePassed(), 60_000), Tell) == []
