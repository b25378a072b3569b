"""An authority for tests: by a clock of our own, and with passphrases that cost nothing to stretch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.adapters.authority import Authority, create_authority, keys

BEGAN = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PASSPHRASE = "correct horse battery"
SCRYPT_N = 2


@dataclass
class Calendar:
    """A clock that stands."""

    at: datetime = BEGAN

    def now(self) -> datetime:
        return self.at

    def pass_by(self, days: float) -> None:
        self.at += days * DAY


@pytest.fixture
def calendar() -> Calendar:
    """The day on which the authority is made."""
    return Calendar()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is stretched in no time."""
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)


@pytest.fixture
def authority(cheap: None, calendar: Calendar, tmp_path: Path) -> Authority:
    """A fresh one."""
    return create_authority(tmp_path / "authority", "西湖山社区", PASSPHRASE, now=calendar.now)
