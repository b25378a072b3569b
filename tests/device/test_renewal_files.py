"""The certificates and the key of a device on its disk, with the power cut between any two steps."""

from __future__ import annotations

import os
import queue
import stat
from pathlib import Path

import pytest

from device.adapters import identity as adapter
from device.adapters.identity import ASKED, CURRENT, FOLDER, NEXT, TRIES_WITH_ONE, IdentityFolder, in_use
from device.core.renewal import KeyMade
from doorbell.folders import sync_folder
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.wire import certificate_mark
from relay.adapters.authority import Authority, Credential
from relay.issued import Purpose, Why
from tests.relay.identities import Calendar, authority, calendar, cheap

__all__ = ["authority", "calendar", "cheap"]


class Place:
    """A device's state directory and its identity, made 300 days ago; a day later it is time."""

    def __init__(self, folder: Path, authority: Authority, calendar: Calendar) -> None:
        self.state_dir, self.authority, self.calendar = folder / "state", authority, calendar
        self.state_dir.mkdir()
        self.own = folder / "own"
        self.own.mkdir()
        self.issue(authority.issue(Purpose.DEVICE, "bell-peng"))
        self.tls = TlsSettings(
            ca=self.own / "ca.pem", certificate=self.own / "certificate.pem", key=self.own / "key.pem"
        )
        self.broker = MqttSettings(tls=self.tls)
        self.made: queue.SimpleQueue[KeyMade] = queue.SimpleQueue()
        self.left: list[str] = []
        calendar.pass_by(300)

    def issue(self, made: Credential) -> None:
        for name, content in made.files().items():
            (self.own / name).write_bytes(content)

    def folder(self, **options: object) -> IdentityFolder:
        """As a process that has just been started finds it."""
        fields = {"sink": self.made.put, "reconnect": self.left.append, **options}
        return IdentityFolder(self.state_dir, self.tls, "bell-peng", **fields)  # type: ignore[arg-type]

    def file(self, name: str) -> Path:
        return self.state_dir / FOLDER / name

    def files(self) -> list[str]:
        folder = self.state_dir / FOLDER
        return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []

    def key(self) -> str:
        """Make a key; the request for it."""
        folder = self.folder()
        folder.make_key()
        assert self.made.get(timeout=60) == KeyMade()
        papers = folder.papers()
        assert papers is not None
        assert papers.request is not None
        return papers.request

    def sign(self, request: str) -> str:
        return self.authority.renew(request.encode(), "bell-peng").chain.decode()

    def shown(self, folder: IdentityFolder) -> str:
        tls = folder.shown(self.broker).tls
        assert tls is not None
        assert tls.certificate is not None
        assert tls.key == (self.tls.key if tls.certificate == self.tls.certificate else None)
        return tls.certificate.name


@pytest.fixture
def place(authority: Authority, calendar: Calendar, tmp_path: Path) -> Place:
    return Place(tmp_path, authority, calendar)


def test_a_key_is_made_here_and_nobody_else_can_read_it(place: Place) -> None:
    request = place.key()
    assert place.files() == [ASKED]
    assert stat.S_IMODE(place.file(ASKED).stat().st_mode) == 0o600
    assert stat.S_IMODE(place.file(ASKED).parent.stat().st_mode) == 0o700
    chain = place.sign(request)
    assert "PRIVATE KEY" not in request + chain
    assert place.shown(place.folder()) == "certificate.pem"


def test_from_the_certificate_to_the_identity_in_use(place: Place) -> None:
    chain = place.sign(place.key())
    folder = place.folder()
    assert folder.take(chain)
    assert place.files() == [NEXT]
    assert stat.S_IMODE(place.file(NEXT).stat().st_mode) == 0o600
    papers = folder.papers()
    assert papers is not None
    assert (papers.ready, papers.request) == (True, None)
    assert place.shown(folder) == "certificate.pem", "not before it is ordered"
    folder.try_next()
    assert len(place.left) == 1
    assert [place.shown(folder), place.shown(folder)] == [NEXT, "certificate.pem"], "one try, then the old one again"
    assert folder.is_next(place.file(NEXT))
    assert not folder.is_next(place.tls.certificate)
    assert folder.adopt()
    assert place.files() == [CURRENT]
    after = folder.papers()
    assert after is not None
    assert (after.mark, after.ready) == (certificate_mark(chain), False)
    assert after.until > papers.until
    assert place.shown(folder) == place.shown(place.folder()) == CURRENT
    assert in_use(place.tls, place.state_dir).certificate == place.file(CURRENT)


def test_a_certificate_for_another_key_is_not_taken(place: Place) -> None:
    other = place.sign(place.key())
    place.file(ASKED).unlink()
    place.key()
    folder = place.folder()
    for chain in (other, "", "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n", "证书"):
        assert not folder.take(chain)
    assert place.files() == [ASKED]


def test_without_openssl_it_says_so_and_leaves_nothing(place: Place) -> None:
    for command in (("no-such-command",), ("false",), ("echo", "hello")):
        place.folder(openssl=command).make_key()
        assert place.made.get(timeout=60).failure is not None
    assert place.files() == []


def test_a_key_whose_file_was_spoilt_is_made_anew(place: Place) -> None:
    place.key()
    place.file(ASKED).write_bytes(place.file(ASKED).read_bytes()[:100])
    papers = place.folder().papers()
    assert papers is not None
    assert papers.request is None
    place.key()


def test_a_spoilt_certificate_is_passed_over(place: Place) -> None:
    folder = place.folder()
    folder.take(place.sign(place.key()))
    folder.adopt()
    place.file(CURRENT).write_bytes(place.file(CURRENT).read_bytes()[:300])
    assert place.shown(place.folder()) == "certificate.pem"


def test_a_key_that_is_done_while_the_papers_are_asked_for_ends_nothing(place: Place) -> None:
    """Its thread has the papers forgotten at any moment: between look and answer that ended the device."""

    class Forgotten(IdentityFolder):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, None if name == "_papers" else value)

    papers = Forgotten(place.state_dir, place.tls, "bell-peng", sink=print, reconnect=print).papers()
    assert papers is not None
    assert papers == place.folder().papers()


def test_an_identity_that_was_replaced_wins_at_once(place: Place) -> None:
    """A technician puts a new one on the card; what was renewed of the old one must not hide it."""
    folder = place.folder()
    folder.take(place.sign(place.key()))
    folder.adopt()
    place.issue(place.authority.issue(Purpose.DEVICE, "bell-peng", replacing=Why.BROKEN))
    assert place.shown(place.folder()) == "certificate.pem"
    assert in_use(place.tls, place.state_dir) == place.tls


def test_where_nothing_connects_everything_that_is_there_is_tried(place: Place) -> None:
    """The old one has ended while the device was off, and the new one was never tried."""
    folder = place.folder()
    folder.take(place.sign(place.key()))
    folder = place.folder()
    tried = [place.shown(folder) for _ in range(2 * TRIES_WITH_ONE + 1)]
    assert tried == ["certificate.pem"] * TRIES_WITH_ONE + [NEXT] * TRIES_WITH_ONE + ["certificate.pem"]
    folder.is_next(place.file(NEXT))
    folder.adopt()
    tried = [place.shown(folder) for _ in range(2 * TRIES_WITH_ONE)]
    assert tried == [CURRENT] * TRIES_WITH_ONE + ["certificate.pem"] * TRIES_WITH_ONE


class PowerCutError(Exception):
    """The process ends here."""


CUTS = ("write", "fsync", "replace", "unlink", "sync")


def cut_at(patch: pytest.MonkeyPatch, step: str, moment: str) -> None:
    """The power goes before or after the next such step."""

    def around(real: object) -> object:
        def cut(*words: object, **more: object) -> object:
            if moment == "after":
                real(*words, **more)  # type: ignore[operator]
            raise PowerCutError

        return cut

    match step:
        case "write":
            patch.setattr(adapter, "_write_new", around(adapter._write_new))
        case "fsync":
            patch.setattr(os, "fsync", around(os.fsync))
        case "sync":
            patch.setattr(adapter, "sync_folder", around(sync_folder))
        case _:
            patch.setattr(Path, step, around(getattr(Path, step)))


@pytest.mark.parametrize("cut", [(step, moment) for step in CUTS for moment in ("before", "after")], ids="-".join)
@pytest.mark.parametrize("phase", ["key", "take", "adopt"])
def test_a_power_cut_at_any_step_leaves_an_identity_and_the_way_to_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch, cut: tuple[str, str], phase: str
) -> None:
    folder = place.folder()
    chain = ""
    if phase != "key":
        chain = place.sign(place.key())
    if phase == "adopt":
        assert folder.take(chain)
    with monkeypatch.context() as patch:
        cut_at(patch, *cut)
        try:
            match phase:
                case "key":
                    folder._made()
                case "take":
                    folder.take(chain)
                case _:
                    folder.adopt()
        except PowerCutError:
            pass
    again = place.folder()
    assert place.shown(again) in ("certificate.pem", CURRENT)
    papers = again.papers()
    assert papers is not None
    if papers.request is None and not papers.ready and CURRENT not in place.files():
        assert phase == "key"
        place.key()
        papers = again.papers()
    again = place.folder()
    papers = again.papers()
    assert papers is not None
    if papers.request is not None:
        assert again.take(place.sign(papers.request))
    if CURRENT not in place.files():
        assert again.adopt()
    assert place.shown(place.folder()) == CURRENT
