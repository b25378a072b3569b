"""The life of each alarm as a trace, for whoever collects OpenTelemetry. The only import of its libraries.

An alarm's id, a UUID, is the id of its trace: what is in the log, on a page and in the collector is found by one word.
The first span is the press, from when the link took it in until its rings were handed to the link, with the commit and
the publishing as its children; every later step of the alarm is a span of its own in the same trace.

It is told after a turn's rings are published, so no press waits for it; a thread of the library's sends what has come
together, and while the collector is away the newest are dropped, never waited for. Attributes are ids and words of our
code: no name, no place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, set_span_in_context

from relay.core.alarm import NoteType
from relay.ports import JournalRow
from relay.turn import Turn

SERVICE = "doorbell-relay"
SEND_S = 5.0
"""How often spans are sent, and how long a collector may take to accept them."""
KEPT = 4_096
"""Spans that wait at the most; about 4 MB."""
_ROOT_BITS = (1 << 64) - 1

_log = structlog.get_logger("relay.traces")


class AlarmTraces:
    """``turned`` is called after every turn, by the loop's thread alone. ``monotonic`` is the clock of ``Turn``'s
    stopwatch in seconds, ``wall_ns`` the wall clock in ns since 1970."""

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        name: str,
        version: str,
        monotonic: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic, self._wall_ns = monotonic, wall_ns
        self._ids = _AlarmIds()
        about = {"service.name": SERVICE, "service.instance.id": name, "service.version": version}
        self._provider = TracerProvider(
            resource=Resource(about), sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=KEPT,
                schedule_delay_millis=SEND_S * 1000,
                export_timeout_millis=SEND_S * 1000,
            )
        )
        self._tracer = self._provider.get_tracer(SERVICE, version)

    def turned(self, turn: Turn) -> None:
        """A turn is over: committed, acknowledged, published, logged."""
        if not turn.batch.journal:
            return
        zero_ns = self._wall_ns() - round(self._monotonic() * 1e9)

        def wall(at_s: float) -> int:
            return zero_ns + round(at_s * 1e9)

        committed_s = turn.begun_s if turn.committed_s is None else turn.committed_s
        begun, committed, published = wall(turn.begun_s), wall(committed_s), wall(turn.published_s)
        for line in turn.batch.journal:
            if line.alarm is None:
                continue
            if line.type == NoteType.RAISED.value:
                arrived_s = turn.raised.get(line.alarm, 0.0) or turn.begun_s
                press = self._press(line, wall(arrived_s))
                inside = set_span_in_context(press)
                self._tracer.start_span("commit", inside, start_time=begun).end(committed)
                self._tracer.start_span("publish", inside, start_time=committed).end(published)
                press.end(published)
            else:
                step = self._tracer.start_span(
                    line.type, _of(line.alarm), start_time=begun, attributes=_attributes(line)
                )
                step.end(published)

    def close(self) -> None:
        """Send what is left, if the collector takes it, and send no more."""
        self._provider.force_flush(round(SEND_S * 1000))
        self._provider.shutdown()

    def _press(self, line: JournalRow, arrived: int) -> Span:
        trace, root = _ids(line.alarm or "")
        self._ids.next = trace, root
        return self._tracer.start_span("press", Context(), start_time=arrived, attributes=_attributes(line))


class _AlarmIds(IdGenerator):
    """Random ids but for the next root, whose trace is an alarm."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.next: tuple[int, int] | None = None

    def generate_span_id(self) -> int:
        if self.next is None:
            return self._random.generate_span_id()
        (_, span), self.next = self.next, None
        return span

    def generate_trace_id(self) -> int:
        return self._random.generate_trace_id() if self.next is None else self.next[0]


def _ids(alarm: str) -> tuple[int, int]:
    """Of the trace and of its root; a UUID of version 4 has bits that are never 0 in both."""
    trace = UUID(alarm).int
    return trace, trace & _ROOT_BITS


def _of(alarm: str) -> Context:
    trace, root = _ids(alarm)
    flags = TraceFlags(TraceFlags.SAMPLED)
    return set_span_in_context(NonRecordingSpan(SpanContext(trace, root, is_remote=True, trace_flags=flags)), Context())


def _attributes(line: JournalRow) -> dict[str, str]:
    facts = {
        "doorbell.alarm": line.alarm,
        "doorbell.community": line.community,
        "doorbell.household": line.household,
        "doorbell.device": line.device,
        "doorbell.kind": line.after.kind.value if line.after is not None else None,
        "doorbell.stage": line.after.stage.value if line.after is not None else None,
    }
    return {key: value for key, value in facts.items() if value is not None}


class CollectorExporter(SpanExporter):
    """Sends to an OTLP collector by HTTP. ``endpoint`` is the whole URL, usually ending in ``/v1/traces``.

    What the collector did not take is lost, counted in ``lost``, and told in the log when it begins and when it ends.
    """

    def __init__(self, endpoint: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would tell every failure, and not as JSON
        self.lost = 0
        self._failing = False
        self._inner = OTLPSpanExporter(endpoint=endpoint, timeout=SEND_S)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self.lost += len(spans)
        if failed and not self._failing:
            _log.warning("traces.unsent")
        elif self._failing and not failed:
            _log.info("traces.sent_again", lost=self.lost)
        self._failing = failed
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]
