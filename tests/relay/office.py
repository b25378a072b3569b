"""A community office's terminal for tests of the commands, and a database with something in it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.commands.program import main
from relay.core.alarm import Advance
from relay.core.life import raise_alarm
from relay.core.register import Register
from relay.core.steps import Surroundings
from relay.ports import Batch, JournalRow

EXAMPLE = Path(__file__).parents[2] / "config" / "neighbourhood.example.toml"
AT = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)
ALARM = "01938f3c-0000-4000-8000-000000000001"
OTHER = "01938fff-0000-4000-8000-000000000002"


@dataclass
class Office:
    """A terminal: runs commands, and has what they printed."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.folder / "relay.toml"

    @property
    def register(self) -> Path:
        return self.folder / "register.toml"

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self.capture.readouterr()
        code = main([*words, "--config", str(self.config)])
        return code, *self.capture.readouterr()

    def store(self) -> SqlStore:
        return SqlStore.open(self.folder / "data" / "relay.sqlite3")


def raised(register: Register, alarm_id: str, household: str, at: datetime) -> Advance:
    return raise_alarm(
        alarm_id=alarm_id,
        kind=AlarmKind.HELP,
        household=household,
        source=f"button-{household}",
        policy=register.policy_for(household, AlarmKind.HELP),
        at=at,
        seq=None,
        around=Surroundings(register, frozenset(register.devices)),
        now=at,
    )


def commit(store: SqlStore, advance: Advance, at: datetime) -> None:
    after = advance.alarm
    rows = [
        JournalRow(at, after.community, note.type.value, after.household, after.id, data=dict(note.data), after=after)
        for note in advance.notes
    ]
    store.commit(Batch(journal=rows, alarms={after.id: after}))
