"""What the status pages of a relay say."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.adapters.metrics import COUNTERS, MAX_SERIES, PREFIX, RelayCollector
from relay.adapters.status import Page, StatusListener
from relay.commands.status import RelayParts, open_status, status_pages
from relay.figures import CertificateEnds, Figures, Whose
from relay.inbox import Inbox
from relay.settings import StatusSettings
from tests.relay.doubles import PENG, C, House, content_auditor


class Link:
    def __init__(self) -> None:
        self.lives = True

    def alive(self) -> bool:
        return self.lives


@pytest.fixture
def house() -> House:
    return House()


def parts_of(house: House, figures: Figures | None = None, link: Link | None = None) -> RelayParts:
    return RelayParts(figures or Figures(), house.relay, Inbox(), content_auditor(), link or Link())


def pages_of(house: House, figures: Figures | None = None, link: Link | None = None) -> dict[str, Page]:
    return status_pages(parts_of(house, figures, link))


def samples(page: Page) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = page("").body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(house: House, name: str, **labels: str) -> float:
    return samples(pages_of(house)["/metrics"])[PREFIX + name, tuple(sorted(labels.items()))]


def test_metrics_tell_what_happened(house: House) -> None:
    house.press(1)
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.hear(house.delivery("event", "{", device=PENG))
    assert value(house, "open_alarms", kind="help", stage="accepted") == 1
    assert value(house, "open_alarms", kind="request", stage="ringing") == 0
    assert value(house, "transitions_total", line="raised") == 1
    assert value(house, "events_total", type="help") == 1
    assert value(house, "rejected_total", reason="not_json") == 1
    assert value(house, "devices", state="online") == 5
    assert value(house, "link_up") == 1


def test_a_spread_counts_upward_and_ends_with_everything(house: House) -> None:
    figures = Figures()
    for value_s in (0.0005, 0.002, 0.002, 60.0):
        figures.press_to_ring.add(value_s)
    found = samples(pages_of(house, figures)["/metrics"])
    name = PREFIX + "press_to_ring_seconds"
    assert found[name + "_bucket", (("le", "0.001"),)] == 1
    assert found[name + "_bucket", (("le", "0.0025"),)] == 3
    assert found[name + "_bucket", (("le", "10.0"),)] == 3
    assert found[name + "_bucket", (("le", "+Inf"),)] == 4
    assert found[name + "_count", ()] == 4
    assert found[name + "_sum", ()] == pytest.approx(60.0045)


def test_nobody_is_in_a_label(house: House) -> None:
    """Names, places, ids of people, households, devices, alarms, communities: none of them, whatever happens."""
    house.press(1)
    house.hear(house.event(PENG, "accept", 2, alarm=1), house.delivery("event", "{", device=PENG))
    register = house.store.load_register()[1]
    private = {C, *register.households, *register.people, *register.devices, *register.hooks}
    private |= {home.label for home in register.households.values()} | {p.name for p in register.people.values()}
    private |= {home.place for home in register.households.values()} - {""}
    for _, labels in samples(pages_of(house)["/metrics"]):
        assert not private & {text for _, text in labels}


def test_a_counter_with_too_many_words_counts_the_rest_together(house: House) -> None:
    house.relay.counts.update({f"rejected.reason-{n:03}": 1 for n in range(MAX_SERIES + 10)})
    assert value(house, "rejected_total", reason="other") == 10


def test_a_count_that_nobody_has_given_a_metric_is_seen_all_the_same(house: House) -> None:
    house.relay.counts["news.of-tomorrow"] += 3
    assert value(house, "other_total", what="news.of-tomorrow") == 3


def test_metrics_tell_when_certificates_end_and_how_renewals_go(house: House) -> None:
    figures = Figures()
    figures.certificates = CertificateEnds({Whose.RELAY: 12.5, Whose.BROKER: -1.0}, clock_wrong=True)
    figures.renewals_waiting, figures.renewals_signed = 3, 2
    house.hear(house.event(PENG, "renew", 1, detail={"request": "none"}))
    found = samples(pages_of(house, figures)["/metrics"])
    assert found[PREFIX + "certificate_days", (("whose", "relay"),)] == 12.5
    assert found[PREFIX + "certificate_days", (("whose", "broker"),)] == -1.0
    assert found[PREFIX + "clock_wrong", ()] == 1
    assert found[PREFIX + "renewals_waiting", ()] == 3
    assert found[PREFIX + "renewals_total", (("what", "signed"),)] == 2
    assert found[PREFIX + "renewals_total", (("what", "refused"),)] == 0
    assert found[PREFIX + "renewals_total", (("what", "no_request"),)] == 1


def test_every_name_and_label_is_one_that_prometheus_takes(house: House) -> None:
    house.press(1)
    collector = RelayCollector(Figures(), house.relay.gauges, Inbox().lengths, content_auditor())
    names = [family.name for family in collector.collect()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(PREFIX + r"[a-z][a-z_]*", name) for name in names)
    assert {PREFIX + name for name, _, _ in COUNTERS.values()} <= set(names)
    assert all(family.documentation.endswith(".") for family in collector.collect())


def test_openmetrics_is_spoken_to_whoever_asks_for_it(house: House) -> None:
    page = pages_of(house)["/metrics"]
    assert page("").content_type.startswith("text/plain")
    answer = page("application/openmetrics-text; version=1.0.0")
    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


def body_of(page: Page) -> tuple[HTTPStatus, Any]:
    answer = page("")
    assert answer.content_type.startswith("application/json")
    return answer.status, json.loads(answer.body)


def test_a_relay_that_is_well_says_so_and_one_that_is_not_says_what_to_do(house: House) -> None:
    link = Link()
    pages = pages_of(house, link=link)
    for path in ("/healthz", "/readyz"):
        status, body = body_of(pages[path])
        assert (status, body["status"], body["problems"]) == (HTTPStatus.OK, "ok", [])
    link.lives = False
    for path in ("/healthz", "/readyz"):
        status, body = body_of(pages[path])
        assert (status, body["status"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "failing")
        (problem,) = body["problems"]
        assert problem["code"] == "link_dead"
        assert "doorbell-relay" in problem["do.zh-CN"]
        assert "doorbell-relay" in problem["do.en"]


@pytest.fixture
def opened(house: House) -> "Callable[[StatusSettings], StatusListener | None]":
    return lambda settings: open_status(settings, parts_of(house))


def test_pages_can_be_switched_off_and_a_port_that_is_taken_stops_nothing(
    opened: "Callable[[StatusSettings], StatusListener | None]", capsys: pytest.CaptureFixture[str]
) -> None:
    assert opened(StatusSettings(enabled=False)) is None
    first = opened(StatusSettings(port=0))
    assert first is not None
    try:
        assert opened(StatusSettings(port=first.address[1])) is None
        assert "status.unusable" in capsys.readouterr().out
    finally:
        first.close()
