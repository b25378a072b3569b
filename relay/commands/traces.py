"""The relay's traces, where the settings ask for them: opened, and kept from ever standing in a press's way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version

import structlog

from doorbell.errors import SetupError
from relay.settings import RelaySettings
from relay.turn import Turn

_log = structlog.get_logger("relay.traces")


def open_traces(settings: RelaySettings, started: ExitStack) -> Callable[[Turn], None]:
    """What is to be told of every turn. Raises ``SetupError`` if traces are wanted and their libraries are missing."""
    if settings.traces is None:
        return lambda _turn: None
    try:
        from relay.adapters.traces import AlarmTraces, CollectorExporter  # noqa: PLC0415 - optional, 100 ms to import
    except ModuleNotFoundError as missing:
        wanted = "pip install 'love-doorbell[relay,opentelemetry]'"
        raise SetupError(f"[traces] needs OpenTelemetry, and there is no {missing.name}: {wanted}") from None
    exporter = CollectorExporter(settings.traces.endpoint)
    traces = AlarmTraces(exporter, name=settings.name, version=version("love-doorbell"))
    started.callback(traces.close)
    _log.info("traces.sent_to", endpoint=settings.traces.endpoint)
    return safely(traces.turned)


def safely(traced: Callable[[Turn], None]) -> Callable[[Turn], None]:
    """The same, but its first failure is its last and nobody else's: a relay that nobody can trace still rings."""
    well = True

    def turned(turn: Turn) -> None:
        nonlocal well
        if well:
            try:
                traced(turn)
            except Exception:  # noqa: BLE001 - a bug of ours, told with its trace
                well = False
                _log.error("traces.crashed", exc_info=True)

    return turned
