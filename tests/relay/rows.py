"""Alarms, events, batches and registers for tests of what keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from doorbell.wire import AlarmKind
from relay.core.alarm import Alarm, AlarmStage, Due, Helper, HelperState, NoteType, Outcome
from relay.core.policy import DEFAULT_POLICIES, OnMistake, Policy, Step, parse_target
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from relay.ports import (
    Batch,
    EventRow,
    JournalRow,
    TwinRow,
)

T0 = datetime(2026, 11, 23, 6, 43, 0, 120_000, tzinfo=UTC)


def uid(number: int) -> str:
    """An event id that a test can name by a number."""
    return str(UUID(int=number, version=4))


def after_s(seconds: float) -> datetime:
    """So long after the test's beginning."""
    return T0 + timedelta(seconds=seconds)


def an_alarm(number: int = 1, *, household: str = "home-liu", at: datetime = T0) -> Alarm:
    """A ringing alarm, just raised by the press with this number."""
    return Alarm(
        id=uid(number),
        community="xihu",
        household=household,
        kind=AlarmKind.HELP,
        source="panel-liu",
        raised_at=at,
        policy=DEFAULT_POLICIES[AlarmKind.HELP],
        stage=AlarmStage.RINGING,
        since=at,
        deadline=at + timedelta(seconds=5),
        due=Due.DEAF,
        step_ends=at + timedelta(seconds=45),
        called=("bell-peng", "bell-wu"),
        step_bells=("bell-peng",),
        step_hooks=("hook-board",),
        recent_presses=(at,),
        press_seqs=(("button-liu", 7), ("button-old", None)),
    )


def accepted(alarm: Alarm) -> Alarm:
    """The alarm once 彭小平 has said: coming."""
    helper = Helper("peng", "bell-peng", after_s(20), HelperState.COMING)
    due = after_s(620)
    return replace(alarm, stage=AlarmStage.ACCEPTED, helpers=(helper,), deadline=due, due=Due.ARRIVE, step_ends=None)


def closed(alarm: Alarm) -> Alarm:
    """The alarm once it is over."""
    return replace(alarm, stage=AlarmStage.CLOSED, deadline=None, due=None, outcome=Outcome.HELPED)


def event_of(number: int, *, alarm: str | None = None, verdict: str = "applied", at: datetime = T0) -> EventRow:
    """A press of the panel."""
    return EventRow(uid(number), "xihu", "panel-liu", "help", at, after_s(1), alarm, verdict, b'{"id":"\xe6\x9f\xb3"}')


def line_of(alarm: Alarm, kind: NoteType, at: datetime = T0, after: Alarm | None = None) -> JournalRow:
    """A line of the journal about an alarm."""
    return JournalRow(
        at, alarm.community, kind.value, alarm.household, alarm.id, "panel-liu", alarm.id, {"step": 1}, after
    )


def raising(alarm: Alarm) -> Batch:
    """What the relay commits when an alarm is raised."""
    return Batch(
        events=[event_of(int(UUID(alarm.id)) & 0xFFFF, alarm=alarm.id, at=alarm.raised_at)],
        journal=[
            line_of(alarm, NoteType.RAISED, alarm.raised_at, alarm),
            line_of(alarm, NoteType.STEP_STARTED, alarm.raised_at, alarm),
        ],
        alarms={alarm.id: alarm},
        twins={"bell-peng": TwinRow("bell-peng", 3, (), b'{"rings":[1]}')},
    )


def changing(alarm: Alarm, kind: NoteType) -> Batch:
    """What the relay commits when an alarm has changed."""
    return Batch(journal=[line_of(alarm, kind, after_s(30), alarm)], alarms={alarm.id: alarm})


def a_register() -> Register:
    """A register with one of everything, and its lists not in the order of the alphabet."""
    policy = Policy(
        "slow", (Step((parse_target("volunteer:1"), parse_target("hook:board")), 60),), on_mistake=OnMistake.LOOK_IN
    )
    return Register(
        communities={"xihu": Community("xihu", "西湖社区"), "aixi": Community("aixi", "Aixi", "en")},
        households={
            "home-liu": Household(
                "home-liu",
                "xihu",
                "柳奶奶",
                "3栋502",
                volunteers=("wu", "peng"),
                policies=((AlarmKind.TECHNICAL, "slow"), (AlarmKind.HELP, "slow")),
            ),
            "home-chen": Household("home-chen", "aixi", "Mr Chen"),
        },
        people={"peng": Person("peng", "xihu", "彭小平", "+8613800000000"), "wu": Person("wu", "xihu", "吴医生")},
        devices={
            "panel-liu": Device("panel-liu", "xihu", DeviceRole.PANEL, household="home-liu", volume=80),
            "bell-peng": Device("bell-peng", "xihu", DeviceRole.BELL, person="peng", report_interval_s=30),
        },
        groups={"office": Group("office", "xihu", "office", "社区", members=("wu", "peng"), hooks=("board", "apron"))},
        hooks={
            "board": Hook("board", "xihu", "https://example.org/hook?key=1", "/etc/love-doorbell/board.key"),
            "apron": Hook("apron", "xihu", "https://example.org/b"),
        },
        policies={"slow": policy},
    )


def registers() -> dict[str, Register]:
    """Registers that differ in everything in which registers can differ."""
    base = a_register()
    home, office = base.households["home-liu"], base.groups["office"]
    moved = {**base.devices, "bell-peng": replace(base.devices["bell-peng"], person="wu", volume=20)}
    crowd = {f"p{n:02}": Person(f"p{n:02}", "aixi", f"邻居{n}") for n in range(40)}
    return {
        "one of everything": base,
        "nothing": Register(),
        "other words": replace(
            base,
            communities={**base.communities, "aixi": Community("aixi", "Ai Xi", "zh-CN")},
            people={**base.people, "wu": Person("wu", "xihu", "吴大夫", "1")},
            households={**base.households, "home-liu": replace(home, label="柳奶奶家", place="")},
            hooks={**base.hooks, "apron": Hook("apron", "xihu", "https://example.org/c")},
            policies={"slow": Policy("slow", (Step((parse_target("volunteers"),), 30),))},
        ),
        "another order": replace(
            base,
            households={
                **base.households,
                "home-liu": replace(home, volunteers=("peng",), policies=home.policies[::-1]),
            },
            groups={"office": replace(office, members=("peng", "wu"), hooks=("apron",))},
            devices=moved,
        ),
        "somebody is gone": replace(
            base,
            people={"wu": base.people["wu"]},
            households={"home-liu": replace(home, volunteers=("wu",), policies=())},
            groups={"office": replace(office, members=("wu",), hooks=())},
            devices={"panel-liu": base.devices["panel-liu"]},
            hooks={},
            policies={},
        ),
        "what is there belongs to what is new": replace(
            base,
            communities={"donghu": Community("donghu", "东湖社区"), **base.communities},
            people={
                **base.people,
                "an": Person("an", "donghu", "安安"),
                "wu": replace(base.people["wu"], community="donghu"),
            },
            households={
                "home-an": Household("home-an", "donghu", "安爷爷"),
                **base.households,
                "home-chen": replace(base.households["home-chen"], community="donghu"),
            },
            devices={
                "panel-liu": replace(base.devices["panel-liu"], community="donghu", household="home-an"),
                "bell-peng": replace(base.devices["bell-peng"], community="donghu", person="an"),
            },
        ),
        "a crowd more": replace(
            base,
            people=dict(sorted({**base.people, **crowd}.items())),
            households={**base.households, "home-liu": replace(home, volunteers=tuple(crowd))},
        ),
    }
