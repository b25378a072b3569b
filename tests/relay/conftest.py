"""Fixtures of the relay's commands."""

import io
import shutil
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path

import pytest

from relay.adapters.store import SqlStore
from relay.commands.program import main
from relay.core.alarm import Accepted
from relay.core.life import advance_alarm
from relay.core.steps import Surroundings
from relay.ports import Batch, RejectedRow
from tests.relay.office import ALARM, AT, EXAMPLE, OTHER, Office, commit, raised


@pytest.fixture
def no_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that asks for no language, no colour and no width."""
    for key in ("LC_ALL", "LC_MESSAGES", "LANG", "COLUMNS", "DOORBELL_RELAY_CONFIG"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def office(no_locale: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    """A machine with settings and a register file, and no database yet."""
    made = Office(tmp_path, capsys)
    made.config.write_text('name = "test"\ndatabase = "data/relay.sqlite3"\n', encoding="utf-8")
    made.register.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return made


@pytest.fixture
def busy(office: Office, manned: Path) -> Office:
    """An office whose relay has had one alarm that somebody accepted, and one that nobody has answered."""
    shutil.copytree(manned, office.folder / "data")
    return office


@pytest.fixture(scope="session")
def manned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its database, made once: a copy takes a tenth of the time."""
    folder = tmp_path_factory.mktemp("manned")
    config = folder / "relay.toml"
    config.write_text('name = "test"\ndatabase = "data/relay.sqlite3"\n', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(io.StringIO()):
        patched.delenv("DOORBELL_RELAY_CONFIG", raising=False)
        assert main(["register", "import", str(EXAMPLE), "--config", str(config)]) == 0
    store = SqlStore.open(folder / "data" / "relay.sqlite3")
    register = store.load_register()[1]
    around = Surroundings(register, frozenset(register.devices))
    first = raised(register, ALARM, "liu", AT)
    taken = advance_alarm(first.alarm, Accepted("peng", "bell-peng", AT), around, AT + timedelta(seconds=20))
    for at, advance in ((AT, first), (AT + timedelta(seconds=20), taken), (AT, raised(register, OTHER, "chen", AT))):
        commit(store, advance, at)
    store.commit(Batch(rejected=[RejectedRow(AT, "doorbell/v1/x/y/event", b"{\x1b[31m", "not_json", "no \x1b JSON")]))
    store.close()
    return folder / "data"
