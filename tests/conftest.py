"""What every test lives under: no unexpected error in the log, no configuration left behind, reproducible examples."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import structlog
from hypothesis import settings
from structlog.typing import EventDict

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# A Pi has no psycopg, and the tests that run with a Pi's libraries (tests/package/test_python13.py) need no server.
pytest_plugins = (
    "tests.system.kill_report",
    "tests.scheduling",
    *(("tests.postgres",) if find_spec("psycopg") else ()),
)

ERROR_METHODS = frozenset({"error", "exception", "critical", "fatal"})
KEY_FILE = "DOORBELL_RELAY_KEY_FILE"
"""One privacy key for every database of a run, also of the programs that tests start."""
UNCONFIGURED = structlog.get_config()
"""What every test begins and ends with, also after a fixture of a module that ran a program."""


@pytest.fixture(autouse=True, scope="session")
def privacy_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A key file for the whole run, where a test does not name its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_FILE, str(tmp_path_factory.mktemp("privacy") / "privacy.key"))
        yield


@pytest.fixture(autouse=True)
def error_logs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Every error-level event that the test logs through structlog, from any thread; an unexpected one fails it.

    A program under test may configure structlog itself: the watch stays in front of its processors, loggers are not
    cached (a cached one would outlive the test), and no configuration outlives the test.
    """
    seen: list[dict[str, Any]] = []

    def watch(_logger: Any, method: str, event: EventDict) -> EventDict:
        if method in ERROR_METHODS:
            seen.append(dict(event))
        return event

    configure = structlog.configure

    def configure_watched(*, processors: list[Any] | None = None, **options: Any) -> None:
        rest = UNCONFIGURED["processors"] if processors is None else processors
        configure(processors=[watch, *rest], **{**options, "cache_logger_on_first_use": False})

    configure(**UNCONFIGURED)
    monkeypatch.setattr(structlog, "configure", configure_watched)
    configure_watched(
        processors=[structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer(bool_as_flag=False)]
    )
    try:
        yield seen
    finally:
        configure(**UNCONFIGURED)
    if seen and "allow_error_logs" not in request.fixturenames:
        pytest.fail(f"logged {len(seen)} unexpected error(s), the first: {seen[0]}")


@pytest.fixture
def allow_error_logs(error_logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Asked for by a test whose subject is an error: the error events so far, to be asserted on."""
    return error_logs
