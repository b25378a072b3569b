"""Every example that a newcomer copies can be read as it is, and fits the others."""

import re
from pathlib import Path

import pytest

from device.settings import DaemonSettings
from doorbell.settings import Settings, load_settings
from doorbell.wire import AlarmKind
from relay.core.policy import DEFAULT_POLICIES
from relay.core.register import OFFICE_KIND
from relay.register_file import load_register_file, read_register
from relay.settings import RelaySettings

CONFIG = Path(__file__).parents[1] / "config"
SETTINGS: dict[str, type[Settings]] = {
    "panel.example.toml": DaemonSettings,
    "bell.example.toml": DaemonSettings,
    "relay.example.toml": RelaySettings,
    "station.example.toml": RelaySettings,
}
REGISTERS = {"neighbourhood.example.toml"}
COMPLETE = [name for name in SETTINGS if name != "station.example.toml"]
"""That one is short, and names relay.example.toml for all that it leaves out."""


def test_every_example_is_loaded_by_a_test() -> None:
    assert {path.name for path in CONFIG.glob("**/*.toml")} == SETTINGS.keys() | REGISTERS


@pytest.mark.parametrize("name", SETTINGS)
def test_example_settings_can_be_loaded(name: str) -> None:
    load_settings(SETTINGS[name], CONFIG / name)


@pytest.mark.parametrize("name", COMPLETE)
def test_what_an_example_says_of_the_broker_in_comments_can_be_loaded_too(name: str, tmp_path: Path) -> None:
    before, mark, rest = (CONFIG / name).read_text("utf-8").partition("\n[mqtt]\n")
    section, other, after = rest.partition("\n\n")
    section = re.sub(r"^# (\[|[a-z_.]+ = )", r"\1", section, flags=re.MULTILINE)
    text = f"{before}{mark}{section}{other}{after}"
    path = tmp_path / name
    path.write_text(text, "utf-8")
    settings = load_settings(SETTINGS[name], path)
    assert isinstance(settings, DaemonSettings | RelaySettings)
    first, second = settings.mqtt.brokers()
    assert first.tls is not None
    assert second.tls is not None
    assert second.tls.key == first.tls.key
    assert (second.host, second.port, second.username) == ("192.168.1.11", first.port, first.username)


@pytest.mark.parametrize("name", sorted(REGISTERS))
def test_example_registers_have_not_even_a_warning(name: str) -> None:
    assert load_register_file(CONFIG / name)[1] == []


def test_the_examples_belong_together() -> None:
    """The README's four processes meet: same broker, registered devices, a bell that the panel's household calls."""
    register = read_register(CONFIG / "neighbourhood.example.toml")
    relay = load_settings(RelaySettings, CONFIG / "relay.example.toml")
    panel = load_settings(DaemonSettings, CONFIG / "panel.example.toml")
    bell = load_settings(DaemonSettings, CONFIG / "bell.example.toml")
    for device in (panel, bell):
        assert (device.mqtt.host, device.mqtt.port) == (relay.mqtt.host, relay.mqtt.port)
        assert device.mqtt.prefix == relay.mqtt.prefix
        assert register.devices[device.device].community == device.community
    household = register.devices[panel.device].household or ""
    assert register.volunteer_bells(household)[0] == bell.device
    assert isinstance(relay.database, Path)
    assert "var" in relay.database.resolve().relative_to(CONFIG.parent).parts


def test_the_example_neighbourhood_shows_what_there_is() -> None:
    register = read_register(CONFIG / "neighbourhood.example.toml")
    assert len(register.households) == 4
    paired = {person for household in register.households.values() for person in household.volunteers}
    assert len(paired) == 5
    assert all(register.bells_of[person] for person in paired)
    assert {group.kind for group in register.groups.values()} == {"medical", OFFICE_KIND}
    (policy,) = register.policies.values()
    assert policy.steps[0].wait_s < DEFAULT_POLICIES[AlarmKind.HELP].steps[0].wait_s
