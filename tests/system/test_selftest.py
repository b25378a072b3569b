"""The silent daily proof against real processes: the receipt of a real relay, and plain words where one is missing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doorbell.service import ExitCode
from tests.system.processes import environment, until
from tests.system.town import FIRST, PANEL, SECOND, Town

pytestmark = pytest.mark.system


def selftest(town: Town, name: str, *options: str, language: str = "en_US") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``doorbell-device selftest`` about a device of the town."""
    command = [sys.executable, "-m", "device", "selftest", "--config", str(town.config_of(name)), *options]
    done = subprocess.run(
        [*command, "--socket", str(town.socket_of(name))],
        env={**environment(), "LC_ALL": language},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def told(town: Town, device: str) -> list[dict[str, Any]]:
    """What the relay's journal holds of this device's tests."""
    return [dict(line.data) for line in town.lines_of("test") if line.device == device]


def test_a_pair_proves_itself_and_the_relay_has_it_in_its_journal(tmp_path: Path) -> None:
    with Town(tmp_path, "embedded") as town:
        for name in (PANEL, FIRST):
            code, out, err = selftest(town, name, "--json")
            document = json.loads(out)
            # Whether this machine's clock is synchronised is not ours; a buzzer cannot be proven in silence.
            not_ok = {f"{one['check']}.{one['code']}" for one in document["findings"] if one["severity"] != "ok"}
            assert not_ok <= {"sound.no_player", "clock.unsynced"}, out + err
            assert code == ("clock.unsynced" in not_ok)
            assert document["device"] == name
            assert document["fit"]
            found = {one["check"]: one for one in document["findings"]}
            assert found["relay"]["code"] == "receipted"
            assert found["outbox"]["code"] == "written"
            assert found["pair"]["data"]["peers"] == ([FIRST, SECOND] if name == PANEL else [PANEL])
            until(lambda: len(told(town, name)) == 2, f"probe and result of {name} are in the journal")  # noqa: B023
        assert town.store.alarms() == []
        assert [device.now.sounding for device in town.devices] == [(), (), ()]

        town.panel.press("help")
        until(lambda: town.panel.now.stage == "ringing", "the press rings")
        code, _, err = selftest(town, PANEL)
        assert (code, "busy (ringing)" in err) == (ExitCode.UNAVAILABLE, True)
        town.help_arrives(town.first)

        town.kill("relay")
        code, out, _ = selftest(town, PANEL, "--receipt", "1")
        assert code == 3
        assert "no receipt of the relay within 1 s" in out
        assert "tell the office" in out

        town.broker.stop()
        until(lambda: not town.panel.now.link, "the panel sees that the broker has gone")
        code, out, _ = selftest(town, PANEL, "--receipt", "1", language="zh_CN")
        assert code == 3
        assert "与消息代理断开了" in out
        assert "不能使用。要修：" in out

        town.kill("panel")
        code, out, err = selftest(town, PANEL)
        assert (code, out) == (ExitCode.UNAVAILABLE, "")
        assert f"the device {PANEL} does not run" in err
        assert "systemctl start doorbell-device" in err
