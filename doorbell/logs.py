"""Logs: a stable event name and fields, one line each, to stderr; ids only, never a person's name.

``json`` is for a service manager, ``console`` for a person at a terminal, ``auto`` chooses by whether stderr is one.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from doorbell.wire import format_time

LogFormat = Literal["console", "json", "auto"]
LogLevel = Literal["debug", "info", "warning", "error"]

PERSONAL_KEYS = frozenset({"label", "place", "who", "name", "phone", "address", "household_name", "person_name"})
"""Fields that carry who somebody is or where they live (product: logs carry ids). Their values are never written."""

WITHHELD = "(withheld)"


def withhold_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A safety net, not a licence: whoever logs such a field has a bug, but it must not become a leak."""
    if not PERSONAL_KEYS.isdisjoint(event):
        for key in PERSONAL_KEYS & event.keys():
            event[key] = WITHHELD
    return event


_encoder = json.JSONEncoder(ensure_ascii=False, default=repr)
"""Made once: ``json.dumps`` with options makes a new one for every line."""


def _to_json(event: EventDict, **_options: Any) -> str:
    return _encoder.encode(event)


class _Stream:
    """stderr, a line at a time; while held, lines wait and leave in one write. Any thread may write.

    A line that stderr does not take (closed, full disk) is dropped: a press matters more than a line about it.
    """

    def __init__(self) -> None:
        self._held: list[str] | None = None
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock:
            if self._held is not None:
                self._held.append(line)
            else:
                self._put(line)

    def flush(self) -> None:
        """``write`` has done it."""

    def hold(self) -> None:
        with self._lock:
            self._held = []

    def release(self) -> None:
        with self._lock:
            lines, self._held = self._held, None
            if lines:
                self._put("".join(lines))

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: closed
            if (stream := sys.stderr) is not None:
                stream.write(text)
                stream.flush()


_stream = _Stream()


@contextmanager
def lines_held() -> Iterator[None]:
    """Inside, log lines wait, and leave in one write at the end: for a turn with hundreds of them. Not nested.

    A system call for every line would cost a burst of presses a fifth of its time. A crash inside still writes them.
    """
    _stream.hold()
    try:
        yield
    finally:
        _stream.release()


def configure_logs(
    format: LogFormat = "auto",  # noqa: A002 - the word of the settings and of the command line
    level: LogLevel = "info",
) -> None:
    """Set up structlog, and the standard library's logging beneath it, for this process. Call it once, first."""
    _leave_nothing_waiting()
    threshold = logging.getLevelNamesMapping()[level.upper()]
    as_json = format == "json" or (format == "auto" and not (sys.stderr and sys.stderr.isatty()))
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        _stamp_ms,
        withhold_personal,
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]
        if as_json
        # plain_traceback: rich would be found and used otherwise, which costs the daemon 170 ms and megabytes
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _stream)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    # Libraries speak up from warning on; our own programs do not use the standard library's logging.
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


def _leave_nothing_waiting() -> None:
    """Take the buffer away from stderr: what a full disk has refused would wait in it, and be tried again at the end.

    A program that has done all its work would then end with 120, which a service manager calls a failure.
    """
    with suppress(OSError, ValueError):  # ValueError: closed
        if (stream := sys.__stderr__) is not None and stream is sys.stderr:
            raw = io.FileIO(stream.fileno(), "wb", closefd=False)
            sys.stderr = io.TextIOWrapper(
                cast(BinaryIO, raw), encoding=stream.encoding, errors=stream.errors, write_through=True
            )


def _stamp_ms(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """``at``: UTC with milliseconds, the same form as on the wire."""
    event["at"] = format_time(datetime.now(UTC))
    return event


class LogOnce:
    """Logs the same complaint (event and fields) once and counts its repeats; not for several threads at once."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._last: tuple[str, dict[str, object]] | None = None
        self._repeats = 0

    def warning(self, event: str, **fields: object) -> None:
        """Log a complaint unless it is the same as the last one; a new one tells how often the old one came again."""
        if self._last == (event, fields):
            self._repeats += 1
            return
        repeats = self.clear()
        self._last = (event, fields)
        self._log.warning(event, **fields, **({"earlier_repeats": repeats} if repeats else {}))

    def clear(self) -> int:
        """Things are well again: forget the complaint; returns how often it was repeated unlogged."""
        repeats, self._repeats, self._last = self._repeats, 0, None
        return repeats
