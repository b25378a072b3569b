"""The relay's figures in the words of Prometheus. The only import of its client library.

Everything is read when somebody asks: nothing of the library is on the way of a press. Labels are words of our code
(kinds, stages, reasons), never an id, a name or a place, so that their number has a limit and nobody is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from math import inf
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from doorbell.wire import AlarmKind
from relay.auditor import Auditor
from relay.core.alarm import AlarmStage
from relay.figures import Figures, Gauges, Spread

PREFIX = "doorbell_relay_"
MAX_SERIES = 64
"""Label values of one counter; the rest is counted together as ``other``. Our code has no more than 30 words each."""

COUNTERS = {
    "event": ("events", "type", "Events of devices heard for the first time, by type; duplicate: heard again."),
    "alarm": ("transitions", "line", "Steps in the lives of alarms, by the journal's word for it."),
    "journal": ("journal_lines", "line", "Journal lines that belong to no step of an alarm."),
    "rejected": ("rejected", "reason", "Messages that cannot be used, by reason."),
    "notice": ("notices", "result", "Attempts to tell a hook, by result."),
    "link": ("link_losses", "", "Connections to the broker that ended or failed."),
    "desired": ("desired_again", "why", "Desired states published again: not reported, or overtaken by another relay."),
    "clock": ("clock_steps", "", "Times that the wall clock was set, and all deadlines moved with it."),
    "shed": ("shed", "why", "Reports of devices that were not read, because the relay did not keep up."),
    "spoilt": ("alarms_spoilt", "result", "Open alarms whose row was spoilt when they were loaded, by what became."),
    "renewal": ("renewals", "what", "Renewals of devices' certificates, by what was said, answered or taken."),
    "lease": ("lease_changes", "change", "Communities taken, given and lost, and what was refused or unsaid for it."),
}
"""Of ``RelayRuntime.counts``: the first word of the dotted name, and the metric it becomes; the rest is the label."""


class RelayCollector(Collector):
    """Makes the metrics of one relay when asked."""

    def __init__(
        self,
        figures: Figures,
        gauges: Callable[[], Gauges],
        queue: Callable[[], Mapping[str, int]],
        auditor: Auditor,
    ) -> None:
        self._figures = figures
        self._gauges = gauges
        self._queue = queue
        self._auditor = auditor

    def collect(self) -> Iterator[Metric]:
        """Every metric of the relay, at this moment."""
        figures, gauges = self._figures, self._gauges()
        now_s = figures.monotonic()
        yield _gauge("info", "The relay's version, as a label of a 1.", {(version("love-doorbell"),): 1}, ("version",))
        yield _spread(
            "press_to_ring_seconds", "From a new press at the relay to its rings published.", figures.press_to_ring
        )
        yield _spread("commit_to_publish_seconds", "Of that: after the commit.", figures.commit_to_publish)
        yield _spread(
            "press_to_sound_seconds", "From the press to the first bell that says it sounds.", figures.press_to_sound
        )
        yield _spread("commit_seconds", "How long the database took for a commit.", figures.commit)
        yield _spread("commit_events", "Events of devices in one commit.", figures.commit_events)
        yield _spread("deadline_lag_seconds", "How late a deadline was looked at.", figures.deadline_lag)
        yield _counter("turns", "Turns of the relay's loop.", {(): figures.turns})
        yield _gauge("loop_age_seconds", "Since the loop last moved.", {(): now_s - figures.moved_s})
        yield _counter(
            "store_errors", "Times that the database refused, and was tried again.", {(): figures.store_errors}
        )
        failing = {(): float(figures.failing_since_s is not None)}
        yield _gauge("store_failing", "1 while the database refuses.", failing)
        yield _gauge("store_proven_age_seconds", "Since the last commit.", {(): now_s - figures.proven_s})
        audit = self._auditor
        yield _counter("audits", "Looks of the auditor into the database.", {(): audit.looks})
        yield _counter("audit_failures", "Looks of the auditor that failed.", {(): audit.failures})
        yield _counter("audit_found", "Forgotten alarms that the auditor has found.", {(): audit.found})
        yield _gauge("audit_forgotten", "Open alarms without a deadline that will come, now.", {(): audit.forgotten})
        yield _gauge("audit_age_seconds", "Since the auditor last looked.", {(): now_s - audit.looked_s})
        lanes = {(lane,): length for lane, length in self._queue().items()}
        yield _gauge("queue_length", "Inputs that wait for the loop, by lane.", lanes, ("lane",))
        yield _gauge("link_up", "1 while the broker is connected.", {(): float(gauges.link_is_up)})
        alarms = {(k.value, s.value): gauges.open_alarms.get((k, s), 0) for k in AlarmKind for s in _OPEN_STAGES}
        yield _gauge("open_alarms", "Alarms that are not closed.", alarms, ("kind", "stage"))
        devices = {
            ("online",): gauges.online,
            ("silent",): max(gauges.heard - gauges.online, 0),
            ("unheard",): max(gauges.registered - gauges.heard, 0),
        }
        yield _gauge(
            "devices",
            "Registered devices; silent: heard once and now not, unheard: not since the start.",
            devices,
            ("state",),
        )
        yield _gauge("communities_held", "Communities that this relay serves.", {(): gauges.held})
        yield from self._certificates(now_s)
        answered = {"renewal.signed": figures.renewals_signed, "renewal.refused": figures.renewals_refused}
        yield from _counters({**gauges.counts, **answered})

    def _certificates(self, now_s: float) -> Iterator[Metric]:
        figures = self._figures
        ends = figures.certificates
        days = {(whose.value,): left for whose, left in ends.days.items()}
        yield _gauge("certificate_days", "Until a certificate ends; negative: since.", days, ("whose",))
        age_s = now_s - figures.certificates_s
        yield _gauge("certificates_age_seconds", "Since all certificates were last seen.", {(): age_s})
        wrong = {(): float(ends.clock_wrong)}
        yield _gauge("clock_wrong", "1 while the wall clock is provably wrong.", wrong)
        waiting = {(): figures.renewals_waiting}
        yield _gauge("renewals_waiting", "Devices that wait for a renewed certificate to be signed.", waiting)


_OPEN_STAGES = tuple(stage for stage in AlarmStage if stage is not AlarmStage.CLOSED)


class MetricsPage:
    """What ``/metrics`` shows: the relay, its process and its interpreter."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        for collector in collectors:
            self._registry.register(collector)

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and text, in the format that the ``Accept`` header asks for."""
        encoder, content_type = choose_encoder(accept)
        return content_type, encoder(self._registry)


def _counters(counts: Mapping[str, int]) -> Iterator[Metric]:
    found: dict[str, dict[tuple[str, ...], float]] = {word: {} for word in COUNTERS}
    others: dict[tuple[str, ...], float] = {}
    for name, count in sorted(counts.items()):
        word, _, rest = name.partition(".")
        series = found.get(word, others)
        key: tuple[str, ...] = (
            () if word in COUNTERS and not COUNTERS[word][1] else (rest if word in COUNTERS else name,)
        )
        if key not in series and len(series) >= MAX_SERIES:
            key = ("other",)
        series[key] = series.get(key, 0) + count
    for word, (name, label, told) in COUNTERS.items():
        yield _counter(name, told, found[word] or ({} if label else {(): 0}), (label,) if label else ())
    yield _counter("other", "Whatever else the relay counts, by its own name.", others, ("what",))


def _counter(name: str, told: str, values: Mapping[Any, float], labels: tuple[str, ...] = ()) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, told, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(name: str, told: str, values: Mapping[Any, float], labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, told, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _spread(name: str, told: str, spread: Spread) -> HistogramMetricFamily:
    buckets, below = [], 0
    for bound, count in zip((*spread.bounds, inf), list(spread.counts), strict=True):
        below += count
        buckets.append(("+Inf" if bound == inf else str(bound), float(below)))
    return HistogramMetricFamily(PREFIX + name, told, buckets=buckets, sum_value=spread.total)
