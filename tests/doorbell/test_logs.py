"""Logs: UTC to the millisecond, ids only, the same complaint once."""

import errno
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from doorbell.logs import WITHHELD, LogOnce, configure_logs, lines_held


@pytest.fixture(autouse=True)
def library_logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout is for a command's answer
    return captured.err.splitlines()


def test_json_is_one_object_a_line_on_stderr_with_utc_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")
    structlog.get_logger("x").info("alarm.escalated", alarm="01", step=2, note="二楼")
    (line,) = lines(capsys)
    entry = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("at"))
    assert entry == {"event": "alarm.escalated", "alarm": "01", "step": 2, "level": "info", "note": "二楼"}
    assert "二楼" in line


def test_auto_is_json_where_nobody_sits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs("auto")
    structlog.get_logger().info("a.b")
    assert json.loads(lines(capsys)[0])["event"] == "a.b"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    configure_logs("auto")
    structlog.get_logger().info("a.b", alarm=1)
    (line,) = lines(capsys)
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_name_or_place_is_never_written(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logs(form)  # type: ignore[arg-type]
    structlog.get_logger().warning(
        "ring.shown", label="柳奶奶", place="3栋502", who="彭小平", name="柳", device="bell-1"
    )
    (line,) = lines(capsys)
    assert not re.search("柳|3栋|彭", line)
    assert line.count(WITHHELD) == 4
    assert "bell-1" in line


def test_less_than_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "warning")
    structlog.get_logger().info("a.b")
    structlog.get_logger().warning("c.d")
    assert [json.loads(line)["event"] for line in lines(capsys)] == ["c.d"]


def test_exceptions_are_in_the_line_and_need_no_rich(
    capsys: pytest.CaptureFixture[str], allow_error_logs: list[dict[str, object]]
) -> None:
    for form in ("json", "console"):
        configure_logs(form)
        try:
            raise KeyError("missing")
        except KeyError:
            structlog.get_logger().exception("a.broken")
        written = "\n".join(lines(capsys))
        assert "KeyError: 'missing'" in written
        assert "Traceback (most recent call last)" in written
    assert len(allow_error_logs) == 2


def test_libraries_that_use_the_standard_logging_come_in_the_same_form_from_warning_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("json", "debug")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("trouble %d", 7)
    (line,) = lines(capsys)
    entry = json.loads(line)
    assert (entry["event"], entry["level"]) == ("trouble 7", "warning")
    assert entry["at"].endswith("Z")


def test_the_same_complaint_is_written_once_and_its_repeats_are_counted() -> None:
    written: list[tuple[str, dict[str, object]]] = []

    class Log:
        def warning(self, event: str, **fields: object) -> None:
            written.append((event, fields))

    once = LogOnce(Log())
    for _ in range(3):
        once.warning("link.refused", reason="a")
    once.warning("link.refused", reason="b")
    assert written == [("link.refused", {"reason": "a"}), ("link.refused", {"reason": "b", "earlier_repeats": 2})]
    once.warning("link.refused", reason="b")
    assert once.clear() == 1
    assert once.clear() == 0
    once.warning("link.refused", reason="b")
    assert written[2:] == [("link.refused", {"reason": "b"})]


class _FullDisk(io.StringIO):
    """Takes nothing."""

    def write(self, line: str, /) -> int:
        """What ``/dev/full`` does."""
        raise OSError(errno.ENOSPC, "No space left on device")


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("broken", [_FullDisk(), _closed(), None], ids=["full", "closed", "none"])
def test_a_log_that_cannot_be_written_ends_nothing(
    broken: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Relay and device ended at their first line when the log's disk was full, and again at every restart."""
    configure_logs("json", "info")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", broken)
        structlog.get_logger("x").info("alone")
        with lines_held():
            structlog.get_logger("x").info("held")
    structlog.get_logger("x").info("there is room again")
    assert [json.loads(line)["event"] for line in lines(capsys)] == ["there is room again"]


def test_a_program_whose_log_is_full_ends_as_it_would_have() -> None:
    """Whatever the environment says of Python's buffers."""
    program = "import doorbell.logs as l, structlog; l.configure_logs('json'); structlog.get_logger().info('x')"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        subprocess.run([sys.executable, "-c", program], check=True, stderr=full, env=environment)


def test_held_lines_leave_together_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")
    with lines_held():
        structlog.get_logger("x").info("first")
        structlog.get_logger("x").info("second")
        assert lines(capsys) == []
    assert [json.loads(line)["event"] for line in lines(capsys)] == ["first", "second"]
