"""The status pages of a running relay: ``/metrics``, ``/healthz``, ``/readyz``, put together and opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import structlog

from relay.adapters.metrics import MetricsPage, RelayCollector
from relay.adapters.status import Page, StatusAnswer, StatusListener
from relay.auditor import Auditor
from relay.figures import Figures
from relay.inbox import Inbox
from relay.judgement import Ailment, Judgement, judge_life, judge_readiness
from relay.loop import Alive
from relay.runtime import RelayRuntime
from relay.settings import StatusSettings
from relay.texts import Language
from relay.texts.judgement import ADVICE

_log = structlog.get_logger("relay.status")


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What the pages are about."""

    figures: Figures
    runtime: RelayRuntime
    inbox: Inbox
    auditor: Auditor
    link: Alive


def open_status(settings: StatusSettings, parts: RelayParts) -> StatusListener | None:
    """Open the pages if the settings want them. An address that is taken is told and lived without: a relay that
    nobody can watch still rings."""
    if not settings.enabled:
        return None
    try:
        listener = StatusListener(settings.host, settings.port, status_pages(parts))
    except OSError as error:
        _log.warning("status.unusable", host=settings.host, port=settings.port, reason=error.strerror or str(error))
        return None
    _log.info("status.listening", host=listener.address[0], port=listener.address[1])
    return listener


def status_pages(parts: RelayParts) -> dict[str, Page]:
    """The pages by path."""
    figures, runtime, link = parts.figures, parts.runtime, parts.link
    metrics = MetricsPage(RelayCollector(figures, runtime.gauges, parts.inbox.lengths, parts.auditor))

    def life() -> Judgement:
        return judge_life(figures, link_alive=link.alive())

    def readiness() -> Judgement:
        return judge_readiness(figures, runtime.gauges(), parts.auditor, link_alive=link.alive())

    return {
        "/metrics": lambda accept: StatusAnswer(HTTPStatus.OK, *metrics.render(accept)),
        "/healthz": partial(_show, life),
        "/readyz": partial(_show, readiness),
    }


def _show(judge: Callable[[], Judgement], _accept: str) -> StatusAnswer:
    judged = judge()
    body = {
        "status": "ok" if judged.well else "failing",
        "problems": _explain(judged.problems),
        "warnings": _explain(judged.warnings),
        "facts": judged.facts,
    }
    status = HTTPStatus.OK if judged.well else HTTPStatus.SERVICE_UNAVAILABLE
    text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
    return StatusAnswer(status, "application/json; charset=utf-8", text.encode())


def _explain(problems: Sequence[Ailment]) -> list[dict[str, str]]:
    return [
        {
            "code": problem.value,
            **{f"what.{lang}": ADVICE[problem].what.say(lang) for lang in Language},
            **{f"do.{lang}": ADVICE[problem].do.say(lang) for lang in Language},
        }
        for problem in problems
    ]
