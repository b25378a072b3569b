"""Every situation × every event: the whole result, and that nothing else changed."""

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from relay.core.alarm import AlarmEvent, AlarmStage, Due
from relay.core.life import APPLIED
from tests.relay.core.situations import EVENTS, SITUATIONS, Case, tell

TABLE = tomllib.loads(Path(__file__).with_name("life_table.toml").read_text(encoding="utf-8"))
CASES = [Case(situation, event) for situation in SITUATIONS for event in EVENTS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.situation}-{case.event}")
def test_the_whole_result(case: Case) -> None:
    before, result = case.play()
    assert tell(before, result) == TABLE[case.situation][case.event]
    assert result.alarm.policy is before.policy
    if result.reason == APPLIED:
        assert result.alarm != before
        assert result.notes or result.alarm.due is Due.STEP
    else:
        assert result.alarm is before
        assert (result.notes, result.notices) == ((), ())


def test_the_table_has_every_case_and_no_other() -> None:
    assert {name: set(row) for name, row in TABLE.items()} == {name: set(EVENTS) for name in SITUATIONS}


def test_the_table_has_every_kind_of_event_every_stage_and_every_deadline() -> None:
    alarms = [story().alarm for story in SITUATIONS.values()]
    kinds = {type(make(SITUATIONS["fresh"]())) for make in EVENTS.values()}
    assert kinds == set(get_args(AlarmEvent))
    assert {alarm.stage for alarm in alarms} == set(AlarmStage)
    assert {alarm.due for alarm in alarms} == {*Due, None}
