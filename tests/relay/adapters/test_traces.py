"""An alarm's life as a trace, sent to a collector on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from structlog.testing import capture_logs

from doorbell.errors import SetupError
from relay.adapters.traces import AlarmTraces, CollectorExporter
from relay.commands.traces import open_traces, safely
from relay.settings import RelaySettings, load_relay_settings
from relay.turn import Turn
from tests.relay.doubles import PANEL, PENG, House, uid
from tests.relay.receiver import Receiver, receiving

PATH = "/v1/traces"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as receiver:
        yield receiver


def spans_of(collector: Receiver) -> dict[str, Span]:
    """What the collector has, by name."""
    requests = [ExportTraceServiceRequest.FromString(told.body) for told in collector.told]
    return {
        span.name: span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def measured(turn: Turn, arrived_s: float) -> Turn:
    """As if it had come at ``arrived_s``, its commit had taken 2 ms and its publishing 1 ms."""
    turn.begun_s, turn.committed_s, turn.published_s = arrived_s + 0.001, arrived_s + 0.003, arrived_s + 0.004
    turn.raised = dict.fromkeys(turn.raised, arrived_s)
    return turn


def test_an_alarms_trace_has_its_id_and_says_where_the_time_of_the_press_went(collector: Receiver) -> None:
    exporter = CollectorExporter(collector.url(PATH))
    traces = AlarmTraces(exporter, name="main", version="1.2.3", monotonic=lambda: 60.0, wall_ns=lambda: 10**18)
    house = House()
    traces.turned(measured(house.press(1), 50.0))
    traces.turned(measured(house.hear(house.event(PENG, "accept", 2, alarm=1)), 55.0))
    traces.close()

    spans = spans_of(collector)
    assert {"press", "commit", "publish", "step_started", "accepted"} <= set(spans)
    assert {span.trace_id for span in spans.values()} == {UUID(uid(1)).bytes}
    press = spans["press"]
    assert press.parent_span_id == b""
    assert {span.parent_span_id for span in spans.values()} == {b"", press.span_id}
    began = 10**18 - 10 * 10**9
    assert (press.start_time_unix_nano, press.end_time_unix_nano) == (began, began + 4_000_000)
    assert spans["commit"].start_time_unix_nano == began + 1_000_000
    assert spans["commit"].end_time_unix_nano == spans["publish"].start_time_unix_nano == began + 3_000_000
    facts = {fact.key: fact.value.string_value for fact in press.attributes}
    assert facts["doorbell.household"] == "liu"
    assert facts["doorbell.device"] == PANEL
    assert facts["doorbell.alarm"] == uid(1)


def test_no_name_and_no_place_is_in_a_trace(collector: Receiver) -> None:
    exporter = CollectorExporter(collector.url(PATH))
    traces = AlarmTraces(exporter, name="main", version="1")
    house = House()
    for turn in (house.press(1), house.hear(house.event(PENG, "accept", 2, alarm=1))):
        traces.turned(turn)
    traces.close()
    sent = b"".join(told.body for told in collector.told)
    assert b"bell-peng" in sent
    for household in house.relay._register.households.values():
        assert household.label.encode() not in sent
    for person in house.relay._register.people.values():
        assert person.name.encode() not in sent


def test_a_turn_without_an_alarm_is_not_told(collector: Receiver) -> None:
    traces = AlarmTraces(CollectorExporter(collector.url(PATH)), name="main", version="1")
    house = House()
    traces.turned(house.hear(house.report(PANEL)))
    traces.close()
    assert not collector.told


def test_a_collector_that_refuses_is_told_once_in_the_log_and_once_when_it_takes_them_again(
    collector: Receiver,
) -> None:
    exporter = CollectorExporter(collector.url(PATH))
    turn = House().press(1)
    traces = AlarmTraces(exporter, name="main", version="1")
    traces._provider._active_span_processor._span_processors = (SimpleSpanProcessor(exporter),)
    collector.answers[PATH] = (400, b"")
    with capture_logs() as logs:
        traces.turned(turn)
        refused = exporter.lost
        collector.answers[PATH] = (200, b"")
        traces.turned(turn)
    traces.close()
    assert refused == len(spans_of(collector)) > 1
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("traces.unsent", "warning"),
        ("traces.sent_again", "info"),
    ]


def test_a_failing_tracer_is_told_once_and_disturbs_no_turn() -> None:
    turns: list[Turn] = []

    def failing(turn: Turn) -> None:
        turns.append(turn)
        raise RuntimeError("a bug")

    traced = safely(failing)
    turn = House().press(1)
    with capture_logs() as logs:
        traced(turn)
        traced(turn)
    assert turns == [turn]
    assert [line["event"] for line in logs] == ["traces.crashed"]


def a_relay(tmp_path: Path, traces: str) -> RelaySettings:
    path = tmp_path / "relay.toml"
    path.write_text(f'name = "main"\ndatabase = "relay.sqlite3"\n{traces}', "utf-8")
    return load_relay_settings(path, {})


@pytest.mark.parametrize(
    "endpoint", ["http://collector.example.org/v1/traces", "http://127.0.0.1.example.org/", "ftp://x"]
)
def test_traces_leave_the_machine_encrypted_or_not_at_all(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(SetupError, match="endpoint"):
        a_relay(tmp_path, f'[traces]\nendpoint = "{endpoint}"\n')


def test_without_the_setting_nothing_is_traced_and_with_it_the_libraries_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as started:
        open_traces(a_relay(tmp_path, ""), started)(House().press(1))
    monkeypatch.setitem(__import__("sys").modules, "relay.adapters.traces", None)
    with ExitStack() as started, pytest.raises(SetupError, match="opentelemetry"):
        open_traces(a_relay(tmp_path, '[traces]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n'), started)


def test_a_relay_with_the_setting_sends_what_is_left_when_it_stops(tmp_path: Path, collector: Receiver) -> None:
    settings = a_relay(tmp_path, f'[traces]\nendpoint = "{collector.url(PATH)}"\n')
    with ExitStack() as started:
        open_traces(settings, started)(House().press(1))
    assert "press" in spans_of(collector)
