"""``broker reload`` believes no broker: one that goes on with old rights, an old list or an old certificate is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from relay.adapters.authority import create_authority, keys
from relay.commands import broker_proof
from relay.commands.program import main
from relay.identity_files import IdentityFiles
from relay.issued import Purpose
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE, SCRYPT_N
from tests.relay.office import EXAMPLE
from tests.system.brokers import MosquittoProcess, NatsProcess

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Gatehouse:
    """A broker with our configuration, of which it may read a part from copies that nobody writes any more."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind, self.port = folder, kind, free_port()
        self.authority = create_authority(folder / "authority", "x", PASSPHRASE)
        self.issue(Purpose.BROKER, "first", "broker", hosts=("127.0.0.1",))
        self.issue(Purpose.RELAY, "test", "relay")
        for name in ("bell-peng", "bell-wu"):
            self.issue(Purpose.DEVICE, name, name)
        tls = "".join(f'{key} = "relay/{key}.pem"\n' for key in ("ca", "certificate", "key"))
        (folder / "data").mkdir()
        self.config = folder / "relay.toml"
        self.config.write_text(
            f'name = "test"\ndatabase = "relay.sqlite3"\n[mqtt]\nport = {self.port}\n[mqtt.tls]\n{tls}'
            f'[broker]\nfor = "{kind}"\ndirectory = "broker"\nlisten = "127.0.0.1"\nport = {self.port}\n'
            f'data = "data"\nuser = "root"\nlog = "file {folder}/broker.log"\npid_file = "broker.pid"\n',
            "utf-8",
        )
        self.run("register", "import", str(EXAMPLE))
        self.run("broker", "config")

    def start(self, *from_copies: str) -> None:
        """``from_copies``: names of files that it reads from where they are never changed."""
        text = (self.folder / "broker" / "love-doorbell.conf").read_text("utf-8")
        for name in from_copies:
            copy = self.folder / f"old-{name}"
            copy.write_bytes((self.folder / "broker" / name).read_bytes())
            text = text.replace(f"{self.folder / 'broker' / name}", f"{copy}")
        own = self.folder / ("broker.conf" if from_copies else "broker/love-doorbell.conf")
        own.write_text(text, "utf-8")
        log = self.folder / "broker.log"
        self.broker: MosquittoProcess | NatsProcess = (
            MosquittoProcess(own, self.port, log, tls=True)
            if self.kind == "mosquitto"
            else NatsProcess(own, self.port, log)
        )
        self.broker.start()
        (self.folder / "broker.pid").write_text(f"{self.broker.pid}\n", "ascii")

    def issue(self, purpose: Purpose, name: str, place: str, hosts: tuple[str, ...] = ()) -> None:
        make_folder_whole(self.folder / place, self.authority.issue(purpose, name, hosts=hosts).files())

    def renew_broker(self) -> None:
        broker = next(one for one in self.authority.register() if one.purpose is Purpose.BROKER)
        made = self.authority.reissue(broker)
        assert made.key is not None
        place = self.folder / "broker"
        IdentityFiles(place / "certificate.pem", place / "key.pem").replace(made.chain, made.key)

    def try_to(self, *words: str) -> int:
        return main([*words, "--config", str(self.config), "--language", "en"])

    def run(self, *words: str) -> None:
        assert self.try_to(*words) == 0


def revokes(gatehouse: Gatehouse) -> int:
    return gatehouse.try_to("authority", "revoke", "bell-peng", "--why", "stolen")


def lets_another_in(gatehouse: Gatehouse) -> int:
    gatehouse.issue(Purpose.DEVICE, "bell-zhang", "bell-zhang")
    gatehouse.run("broker", "config")
    return gatehouse.try_to("broker", "reload")


def renews(gatehouse: Gatehouse) -> int:
    gatehouse.renew_broker()
    return gatehouse.try_to("broker", "reload")


CHANGES = [revokes, lets_another_in, renews]


@pytest.fixture
def gatehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gatehouse]:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)
    monkeypatch.chdir(tmp_path)
    made = Gatehouse(tmp_path, getattr(request, "param", "mosquitto"))
    yield made
    made.broker.kill()


@pytest.mark.parametrize("gatehouse", ["mosquitto", "nats"], indirect=True)
def test_a_broker_that_reads_what_it_is_told_is_proved_to(
    gatehouse: Gatehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    gatehouse.start()
    for change in CHANGES:
        assert change(gatehouse) == 0
        assert "proved: it uses these very files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "change", "words"),
    [
        (("acl",), revokes, "has not read the new rights"),
        (("acl",), lets_another_in, "has not read the new rights"),
        (("revoked.pem",), revokes, "lets in what was taken back"),
        (("certificate.pem", "key.pem"), renews, "shows another certificate"),
    ],
)
def test_a_broker_that_goes_on_with_something_old_is_told(
    gatehouse: Gatehouse,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    old: tuple[str, ...],
    change: Callable[[Gatehouse], int],
    words: str,
) -> None:
    gatehouse.start(*old)
    monkeypatch.setattr(broker_proof, "READ_WITHIN_S", 3.0)
    assert change(gatehouse) == ExitCode.SETUP
    assert words in capsys.readouterr().err.replace("\n", " ")
    gatehouse.broker.kill()
    gatehouse.start()  # a person restarts it, with its own files
    gatehouse.run("broker", "reload")


@pytest.mark.parametrize("gatehouse", ["nats"], indirect=True)
def test_a_nats_server_with_an_old_configuration_or_certificate_is_told(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gatehouse.start("certificate.pem", "key.pem")  # and with its one file of the beginning
    monkeypatch.setattr(broker_proof, "READ_WITHIN_S", 3.0)
    for change, words in ((lets_another_in, "has not read the new rights"), (renews, "shows another certificate")):
        assert change(gatehouse) == ExitCode.SETUP
        assert words in capsys.readouterr().err.replace("\n", " ")


def test_a_list_that_the_broker_cannot_read_lets_everybody_in_and_is_told(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """mosquitto 2.0.11 drops the list it had, says so in its log alone, and goes on without any."""
    gatehouse.start("revoked.pem")
    gatehouse.run("broker", "reload")
    (gatehouse.folder / "old-revoked.pem").write_bytes(b"cut short")
    monkeypatch.setattr(broker_proof, "READ_WITHIN_S", 3.0)
    assert revokes(gatehouse) == ExitCode.SETUP
    assert "lets in what was taken back" in capsys.readouterr().err.replace("\n", " ")
