"""The example dashboard, the example alert rules and docs/operating.md name only what a relay really shows."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from relay.adapters.metrics import RelayCollector
from relay.figures import CertificateEnds, Figures, Whose
from relay.inbox import Inbox
from relay.judgement import Ailment
from tests.relay.doubles import House, content_auditor

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "config" / "grafana-dashboard.example.json"
RULES = ROOT / "config" / "prometheus-rules.example.yml"
PAGE = ROOT / "docs" / "operating.md"
ROWS_OF_DETAIL = (
    "info",
    "audits",
    "audit_failures",
    "audit_found",
    "journal_lines",
    "link_losses",
    "desired_again",
    "renewals",
    "certificates_age_seconds",
    "clock_steps",
    "other",
    "commit_events",
)
"""For whoever asks a question, not for a wall."""


@cache
def families() -> dict[str, Any]:
    """Every metric of a relay by the name of its family."""
    collector = RelayCollector(Figures(), House().relay.gauges, Inbox().lengths, content_auditor())
    process = ProcessCollector(registry=CollectorRegistry())
    return {family.name: family for family in (*collector.collect(), *process.collect())}


@cache
def series() -> frozenset[str]:
    """Every name that can stand in an expression."""
    endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}
    return frozenset(name + ending for name, family in families().items() for ending in endings[family.type])


def named(expression: str) -> set[str]:
    """The metrics that a PromQL expression names."""
    return set(re.findall(r"\b(?:doorbell|process)_[a-z_]*[a-z]\b", expression))


def labels(expression: str) -> Iterator[tuple[str, str, str]]:
    """Metric, label and value of every selector with a fixed value."""
    for metric, selectors in re.findall(r"\b(doorbell_[a-z_]+)\{([^}]*)\}", expression):
        for label, value in re.findall(r'(\w+)="([^"]*)"', selectors):
            yield metric, label, value


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]] + [rule["expr"] for rule in rules()]


def test_every_metric_that_a_panel_or_a_rule_names_exists() -> None:
    for expression in expressions():
        assert named(expression) or "up{" in expression, f"names no metric: {expression}"
        assert named(expression) <= series(), expression


def test_every_fixed_label_in_them_is_one_that_the_relay_writes() -> None:
    house = House()
    house.relay.counts.update({"shed.nothing_new": 1, "notice.failed": 1, "notice.sent": 1, "spoilt.unreadable": 1})
    figures = Figures()
    figures.certificates = CertificateEnds(dict.fromkeys(Whose, 99.0))
    collector = RelayCollector(figures, house.relay.gauges, Inbox().lengths, content_auditor())
    written = {
        (sample.name, label, value)
        for family in collector.collect()
        for sample in family.samples
        for label, value in sample.labels.items()
    }
    found = {item for expression in expressions() for item in labels(expression)}
    assert found
    assert found <= written


def test_the_dashboard_shows_every_metric_of_the_relay() -> None:
    shown = set().union(*(named(target["expr"]) for panel in panels() for target in panel["targets"]))
    endings = ("", "_total", "_bucket")
    told = {name for name in families() if name.startswith("doorbell_")}
    unseen = {name for name in told if not any(name + ending in shown for ending in endings)}
    assert unseen <= {f"doorbell_relay_{name}" for name in ROWS_OF_DETAIL}, unseen


def test_panels_neither_overlap_nor_share_a_number() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_every_rule_has_a_severity_words_in_both_languages_and_a_place_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert re.search(r"[一-鿿]", rule["annotations"]["zh"])
        assert rule["annotations"]["en"].isascii()
        assert f"`{rule['alert']}`" in page
        assert re.fullmatch(r"\d+[sm]", rule.get("for", "1m"))
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_page_explains_every_metric_every_ailment_and_no_metric_that_is_none() -> None:
    page = PAGE.read_text("utf-8")
    prefix = "doorbell_relay_"
    for name, family in families().items():
        if name.startswith(prefix):
            short = name.removeprefix(prefix) + ("_total" if family.type == "counter" else "")
            assert f"`{short}`" in page or f"`{short}{{" in page, f"{short} is not explained"
    for whose in Whose:
        assert f"`{whose.value}`" in page
    for ailment in Ailment:
        assert f"`{ailment.value}`" in page
    assert named(page) <= series()
