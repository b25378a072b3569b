"""Values that become rows come back the same to the last bit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.wire import AlarmKind
from relay.adapters.store_rows import alarm_state, from_ms, policy_json, read_alarm, read_policy, to_ms
from relay.core.alarm import Alarm, AlarmStage, Due, Helper, HelperState, Outcome
from relay.core.policy import OnMistake, Policy, Step, Target, TargetType

texts = st.text(max_size=20)
times = st.datetimes(datetime(1970, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - its limits
waits = st.integers(1, 86_400)
text_tuples = st.lists(texts, max_size=4).map(tuple)
steps = st.builds(
    Step,
    st.lists(st.builds(Target, st.sampled_from(TargetType), texts), min_size=1, max_size=3).map(tuple),
    waits,
)
policies = st.builds(
    Policy,
    id=texts,
    steps=st.lists(steps, min_size=1, max_size=3).map(tuple),
    arrive_wait_s=waits,
    done_wait_s=waits,
    on_mistake=st.sampled_from(OnMistake),
)
alarms = st.builds(
    Alarm,
    id=texts,
    community=texts,
    household=texts,
    kind=st.sampled_from(AlarmKind),
    source=texts,
    raised_at=times,
    policy=policies,
    stage=st.sampled_from(AlarmStage),
    since=times,
    deadline=st.none() | times,
    due=st.none() | st.sampled_from(Due),
    step=st.integers(0, 2),
    round=st.integers(0, 10**6),
    step_ends=st.none() | times,
    called=text_tuples,
    step_bells=text_tuples,
    step_hooks=text_tuples,
    sounding=text_tuples,
    declined=text_tuples,
    helpers=st.lists(st.builds(Helper, texts, texts, times, st.sampled_from(HelperState)), max_size=3).map(tuple),
    presses=st.integers(1, 10**6),
    recent_presses=st.lists(times, max_size=3).map(tuple),
    press_seqs=st.lists(st.tuples(texts, st.none() | st.integers(0, 2**53 - 1)), max_size=3).map(tuple),
    outcome=st.none() | st.sampled_from(Outcome),
)


@given(alarms)
def test_an_alarm_comes_back_the_same(alarm: Alarm) -> None:
    again = read_alarm(policy_json(alarm.policy), alarm_state(alarm))
    assert again == alarm
    assert hash(again) == hash(alarm)
    assert type(again.stage) is AlarmStage
    assert type(again.kind) is AlarmKind
    assert again.due is alarm.due
    assert again.outcome is alarm.outcome
    assert [type(helper.state) for helper in again.helpers] == [HelperState] * len(alarm.helpers)


@given(policies)
def test_a_policy_comes_back_the_same(policy: Policy) -> None:
    assert read_policy(policy_json(policy)) == policy


@given(alarms)
def test_the_policy_is_kept_once(alarm: Alarm) -> None:
    assert "policy" not in json.loads(alarm_state(alarm))


@given(times)
def test_a_time_keeps_its_milliseconds(at: datetime) -> None:
    assert from_ms(to_ms(at)) == at - timedelta(microseconds=at.microsecond % 1000)


def test_a_time_of_another_zone_is_kept_in_utc() -> None:
    shanghai = datetime(2026, 11, 23, 14, 43, tzinfo=timezone(timedelta(hours=8)))
    assert from_ms(to_ms(shanghai)).isoformat() == "2026-11-23T06:43:00+00:00"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        to_ms(datetime(2026, 11, 23))  # noqa: DTZ001 - the subject
