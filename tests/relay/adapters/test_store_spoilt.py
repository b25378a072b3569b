"""An open alarm whose row cannot be read any more: the relay starts, every other alarm goes on, and so does this one.

It used to end every start of the relay: one spoilt row, and no press of the whole town was served.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from doorbell.link import LinkUp
from doorbell.wire import AlarmKind, Topics
from relay.adapters.store import SqlStore
from relay.core.alarm import AlarmStage
from relay.core.policy import DEFAULT_POLICIES
from relay.database import Place
from relay.figures import Figures
from relay.judgement import Ailment, Judgement, judge_readiness
from relay.runtime import RelayRuntime
from relay.verdict import Fault
from tests.relay.care import change, sound
from tests.relay.doubles import (
    BELLS,
    PANEL,
    PENG,
    WANG,
    C,
    FakeClock,
    FakeLink,
    FakeNotifier,
    House,
    content_auditor,
    neighbourhood,
    uid,
)

OTHER = "button-chen"
NO_JSON, NO_ALARM, CUT = "rubbish", "{}", '{"id":'
DROP_GUARD = {
    "sqlite": "DROP TRIGGER journal_no_update",
    "postgresql": "DROP TRIGGER journal_no_change ON journal",
}


class KeptHouse(House):
    """A house whose relay is on a real database."""

    def __init__(self, place: Place) -> None:
        self.trace = []
        self.topics = Topics()
        self.clock = FakeClock()
        self.database = SqlStore.open(place, exclusive=True)
        self.database.replace_register(neighbourhood())
        self.retained: dict[str, bytes] = {}
        self.mids = 0
        self.figures = Figures()
        self.boot()

    def boot(self) -> None:
        self.link = FakeLink(self.trace, retained=self.retained)
        self.notifier = FakeNotifier(self.trace)
        self.relay = RelayRuntime(self.database, self.link, self.notifier, self.clock, self.topics)
        self.relay.start()
        self.hear(LinkUp(1))
        self.hear(*(self.report(device) for device in (PANEL, OTHER, *BELLS)))
        self.advance(3_000)

    def rev(self, device: str) -> int:
        row = self.database.load().twins.get(device)
        return row.rev if row is not None else 0

    def spoil(self, state: str, policy: str | None = None, *, journal_too: bool = False) -> None:
        """What a failing disk or a careless hand does to the first alarm."""
        change(self.database, "UPDATE alarm SET state = :state WHERE id = :id", state=state, id=uid(1))
        if policy is not None:
            change(self.database, "UPDATE alarm SET policy = :policy WHERE id = :id", policy=policy, id=uid(1))
        if journal_too:
            change(self.database, DROP_GUARD[self.database._engine.dialect.name])
            change(self.database, "UPDATE journal SET after = '{}', policy = NULL WHERE alarm = :id", id=uid(1))

    def judged(self) -> Judgement:
        self.figures.turned(self.hear())
        self.figures.proven_s = self.figures.monotonic()
        return judge_readiness(self.figures, self.relay.gauges(), content_auditor(), link_alive=True)

    def told(self, number: int) -> list[str]:
        """The words of the journal about an alarm."""
        return [line.type for line in self.database.journal(alarm=uid(number))]


@pytest.fixture
def house(place: Place) -> Iterator[KeptHouse]:
    """Two open alarms, of which the first has been taken by Peng."""
    house = KeptHouse(place)
    with closing(house.database):
        house.press(1)
        house.press(2, device=OTHER)
        house.hear(house.event(PENG, "accept", 3, alarm=1))
        assert house.panel() == ("accepted", "彭小平")
        yield house


def logged(error_logs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["event"], line["alarm"]) for line in error_logs]


@pytest.mark.parametrize("state", [NO_JSON, NO_ALARM, CUT, ""])
@pytest.mark.parametrize("policy", [None, NO_JSON])
def test_an_alarm_whose_row_is_spoilt_goes_on_as_the_journal_tells_it(
    house: KeptHouse, state: str, policy: str | None, allow_error_logs: list[dict[str, Any]]
) -> None:
    before = house.database.alarms()
    house.spoil(state, policy)
    house.boot()
    assert house.database.alarms() == before
    assert logged(allow_error_logs) == [("alarm.rebuilt", uid(1))]
    assert house.panel() == ("accepted", "彭小平")
    assert house.panel(OTHER) == ("received", None)
    judged = house.judged()
    assert (judged.well, judged.warnings) == (True, (Ailment.ALARMS_REBUILT,))
    assert house.told(1)[-1] == "recovered"
    assert "recovered" not in house.told(2)
    assert sound(house.database).open_alarms == 2
    house.boot()
    assert house.judged().warnings == ()
    assert len(allow_error_logs) == 1


def test_a_spoilt_alarm_keeps_its_deadline_and_rings_again_when_its_helper_does_not_come(
    house: KeptHouse, allow_error_logs: list[dict[str, Any]]
) -> None:
    deadline = next(alarm.deadline for alarm in house.database.alarms() if alarm.id == uid(1))
    assert deadline is not None
    house.spoil(NO_JSON)
    house.boot()
    left_ms = round((deadline - house.clock.now()).total_seconds() * 1000)
    house.advance(left_ms - 1)
    assert house.panel() == ("accepted", "彭小平")
    house.advance(1_001)
    assert "not_arrived" in house.told(1)
    assert logged(allow_error_logs) == [("alarm.rebuilt", uid(1))]


def test_where_the_journal_is_spoilt_as_well_the_alarm_rings_anew_and_a_press_is_counted_to_it(
    house: KeptHouse, allow_error_logs: list[dict[str, Any]]
) -> None:
    house.spoil(NO_JSON, NO_JSON, journal_too=True)
    house.boot()
    assert logged(allow_error_logs) == [("alarm.rebuilt", uid(1))]
    assert (uid(1), "ringing") in [*house.rings(PENG), *house.rings(WANG)]
    assert house.panel() == ("received", None)
    house.press(4)
    assert house.told(1)[-1] == "pressed_again"
    assert [alarm.id for alarm in house.database.alarms() if alarm.household == "liu"] == [uid(1)]


@pytest.mark.parametrize(("without", "source"), [((), PANEL), ((PANEL,), "liu")])
def test_a_look_in_that_begins_anew_rings_though_no_event_has_raised_it(
    house: KeptHouse, without: tuple[str, ...], source: str, allow_error_logs: list[dict[str, Any]]
) -> None:
    """It rang as from no device, which a bell refuses, and with it all that it should ring beside."""
    house.database.replace_register(neighbourhood(without=without))
    house.spoil(NO_JSON, NO_JSON, journal_too=True)
    change(house.database, "DELETE FROM event WHERE id = :id", id=uid(1))
    house.boot()
    assert logged(allow_error_logs) == [("alarm.rebuilt", uid(1))]
    assert house.shown(WANG).rings[0].from_ == source


def test_a_relay_that_takes_the_community_over_finds_the_same(house: KeptHouse) -> None:
    """It does not read the register again for it, unless a row is spoilt: a city's takes many seconds."""
    read: list[str] = []
    with listening(house.database, read):
        assert house.database.load({C}).alarms[uid(1)].stage is AlarmStage.ACCEPTED
    assert not [statement for statement in read if "household.label" in statement or "person.name" in statement]
    house.spoil(NO_JSON, NO_JSON, journal_too=True)
    with listening(house.database, read):
        snapshot = house.database.load({C})
    assert (snapshot.rebuilt, snapshot.alarms[uid(1)].stage) == ([uid(1)], AlarmStage.RINGING)
    assert snapshot.alarms[uid(1)].policy.id == "liu-help"
    assert house.database.load({"far"}).alarms == {}


@contextmanager
def listening(store: SqlStore, to: list[str]) -> Iterator[None]:
    """The statements that a store has its database run, but for those of the driver's own cursor."""

    def hear(*about: Any) -> None:
        to.append(about[2])

    event.listen(store._engine, "before_cursor_execute", hear)
    yield
    event.remove(store._engine, "before_cursor_execute", hear)


def test_a_policy_that_is_spoilt_is_the_products_and_stops_no_press(
    house: KeptHouse, allow_error_logs: list[dict[str, Any]]
) -> None:
    """It used to end every start of the relay, as a spoilt alarm did."""
    change(house.database, "UPDATE policy SET body = 'rubbish' WHERE id = 'liu-help'")
    house.clock.advance(1_000)
    house.hear(house.event(PENG, "done", 4, alarm=1))
    house.boot()
    assert {(line["event"], line["policy"]) for line in allow_error_logs} == {("policy.unreadable", "liu-help")}
    house.press(5)
    assert house.rings(PENG) == [(uid(5), "ringing")]
    assert house.relay.book.by_id[uid(5)].policy.steps == DEFAULT_POLICIES[AlarmKind.HELP].steps
    house.database.replace_register(neighbourhood())
    assert house.database.load_register()[1].policies == neighbourhood().policies


def test_an_alarm_of_which_nothing_is_known_any_more_is_told_and_the_relay_serves_all_others(
    house: KeptHouse, allow_error_logs: list[dict[str, Any]]
) -> None:
    """Nor is its household in the register."""
    house.spoil(NO_JSON, NO_JSON, journal_too=True)
    change(house.database, "UPDATE alarm SET household = 'gone' WHERE id = :id", id=uid(1))
    house.boot()
    assert logged(allow_error_logs) == [("alarm.unreadable", uid(1))]
    assert house.judged().problems == (Ailment.ALARMS_UNREADABLE,)
    assert house.panel(OTHER) == ("received", None)
    assert [alarm.id for alarm in house.database.alarms()] == [uid(2)]
    found = house.database.forgotten(house.clock.now() + timedelta(hours=2), 10)
    assert uid(1) in {one.alarm for one in found}, "the auditor goes by the columns"
    assert [(one.fault, one.subject) for one in house.database.verify().findings if one.fault is Fault.UNREADABLE] == [
        (Fault.UNREADABLE, uid(1))
    ]
    house.press(5)
    assert house.panel() == ("received", None), "a new press of that household raises a new alarm"


def test_a_row_that_says_open_where_the_journal_says_closed_is_closed(
    house: KeptHouse, allow_error_logs: list[dict[str, Any]]
) -> None:
    """Otherwise the household's next alarm could not be written beside it."""
    house.clock.advance(1_000)
    house.hear(house.event(PENG, "done", 4, alarm=1))
    change(house.database, "UPDATE alarm SET state = 'x', stage = 'ringing' WHERE id = :id", id=uid(1))
    house.boot()
    assert logged(allow_error_logs) == [("alarm.rebuilt", uid(1))]
    house.press(5)
    assert [alarm.id for alarm in house.database.alarms() if alarm.household == "liu"] == [uid(5)]
    assert sound(house.database).open_alarms == 2
