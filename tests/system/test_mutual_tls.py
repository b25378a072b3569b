"""From a press to a bell with mutual TLS on every link, by the configuration and the identities that we make."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.adapters.authority import keys
from tests.relay.identities import SCRYPT_N
from tests.system.certified_town import CertifiedTown
from tests.system.processes import until

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_press_rings_and_help_arrives_with_mutual_tls_everywhere(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)
    with CertifiedTown(tmp_path, kind) as town:
        town.panel.press("help")
        until(lambda: town.first.now.sounding, "the first bell sounds")
        town.help_arrives(town.first)
        assert len(town.lines_of("raised")) == 1
