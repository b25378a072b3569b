"""A certificate and its key match at every moment, whatever is killed when, and whoever reads them how."""

from __future__ import annotations

import os
import signal
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from doorbell.certificates import read_first
from relay.adapters.authority import Authority, Credential
from relay.identity_files import IdentityFiles
from relay.issued import Purpose, Why
from relay.whole_files import make_folder_whole
from tests.relay.identities import authority, calendar, cheap

__all__ = ["authority", "calendar", "cheap"]
STEPS = ("open", "fsync", "replace", "symlink", "unlink", "fchown")
"""What the replacing does to a disk; before each of them the program may be killed."""

SOMEBODY = 4321
"""The account of a relay, for tests that run as root."""


class Pair:
    """An identity on a disk, and the one that is to take its place."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.old = authority.issue(Purpose.RELAY, "town")
        make_folder_whole(folder, self.old.files())
        *_, identity = authority.register()
        self.new = authority.reissue(identity)
        self.files = IdentityFiles(folder / "certificate.pem", folder / "key.pem")

    def replace(self, made: Credential | None = None) -> None:
        made = made or self.new
        assert made.key is not None
        self.files.replace(made.chain, made.key)

    def shown(self) -> str:
        """Whose certificate is there; fails if the key is not its key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(self.files.certificate, self.files.key)
        shown = read_first(self.files.certificate)
        assert shown is not None
        pem = ssl.DER_cert_to_PEM_cert(shown).encode()
        return "old" if self.old.chain.startswith(pem) else "new" if self.new.chain.startswith(pem) else "another"


@pytest.fixture
def pair(tmp_path: Path, authority: Authority) -> Pair:
    return Pair(tmp_path / "identity", authority)


def killed_before(step: int, work: Callable[[], None]) -> bool:
    """Do it in a process that kills itself before its so-manieth touch of the disk; False if it was done before."""
    if (child := os.fork()) == 0:
        left = step

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def touch(*args: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **options)

            return touch

        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def test_a_kill_before_each_touch_of_the_disk_leaves_a_pair_that_matches(tmp_path: Path, authority: Authority) -> None:
    shown, step = [], 0
    while True:
        pair = Pair(tmp_path / str(step), authority)
        authority.revoke("relay-town", Why.REPLACED)  # the next turn's is another
        if os.geteuid() == 0:
            os.chown(pair.files.key, SOMEBODY, SOMEBODY)
        owner = pair.files.key.stat().st_uid
        killed = killed_before(step, pair.replace)
        shown.append(pair.shown())
        assert pair.files.key.stat().st_uid == owner, "or the relay could not read it"
        pair.replace()
        assert pair.shown() == "new", "the next run ends what was begun"
        if not killed:
            break
        step += 1
    assert step >= 12, "three files, each made, made durable and put in its place"
    assert shown == sorted(shown, reverse=True), "first the old one, and from one moment on the new one"
    assert {shown[0], shown[-1]} == {"old", "new"}


def test_a_second_renewal_is_as_safe(pair: Pair, authority: Authority) -> None:
    pair.replace()
    (identity,) = authority.register()
    pair.old, pair.new = pair.new, authority.reissue(identity)
    step = 0
    while killed_before(step, pair.replace):
        assert pair.shown() in ("old", "new")
        step += 1
    assert pair.shown() == "new"


def test_it_is_the_same_identity_and_only_its_owner_reads_it(pair: Pair) -> None:
    pair.files.key.chmod(0o400)
    pair.replace()
    for path in (pair.files.certificate, pair.files.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert pair.new.line.number == pair.old.line.number
    assert pair.new.key != pair.old.key
    assert b"PRIVATE" in pair.files.key.read_bytes()
    assert pair.old.key is not None
    assert pair.old.key not in pair.files.key.read_bytes()
    assert sorted(path.name for path in pair.files.key.parent.iterdir()) == ["ca.pem", "certificate.pem", "key.pem"]


def test_the_folder_may_be_moved_afterwards(pair: Pair, tmp_path: Path) -> None:
    pair.replace()
    moved = (tmp_path / "identity").rename(tmp_path / "moved")
    pair.files = IdentityFiles(moved / "certificate.pem", moved / "key.pem")
    assert pair.shown() == "new"


def test_key_and_certificate_may_be_in_two_folders_or_in_one_file(pair: Pair, tmp_path: Path) -> None:
    elsewhere = tmp_path / "private"
    elsewhere.mkdir()
    key = pair.files.key.rename(elsewhere / "relay.key")
    pair.files = IdentityFiles(pair.files.certificate, key)
    pair.replace()
    assert pair.shown() == "new"
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes())
    pair.files = IdentityFiles(both, both)
    pair.replace(pair.old)
    assert pair.shown() == "old"
    assert not both.is_symlink()


def test_openssl_reads_it_as_brokers_do(pair: Pair) -> None:
    """mosquitto reads both files by OpenSSL, and NATS passes over blocks of another kind: tests/system has both."""
    pair.replace()
    keys = [
        subprocess.run(["openssl", *words], capture_output=True, check=True).stdout
        for words in (
            ("pkey", "-in", str(pair.files.key), "-pubout"),
            ("x509", "-in", str(pair.files.certificate), "-noout", "-pubkey"),
        )
    ]
    assert keys[0] == keys[1]


def test_what_cannot_be_written_leaves_the_old_one(pair: Pair, tmp_path: Path) -> None:
    pair.files.key.unlink()
    with pytest.raises(FileNotFoundError):
        pair.replace()
    assert read_first(pair.files.certificate) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_whom_it_belonged(pair: Pair, authority: Authority) -> None:
    """The timer runs as root, and the relay must be able to read its key and to write in the authority's folder."""
    other = 4322
    os.chown(pair.files.key, SOMEBODY, SOMEBODY)
    os.chown(authority.folder, other, other)
    for path in authority.folder.iterdir():
        os.chown(path, other, other)
    (authority.folder / "lock").unlink()
    authority.revoke("relay-town", Why.REPLACED)
    pair.replace()
    assert {path.stat().st_uid for path in (pair.files.key, pair.files.certificate)} == {SOMEBODY}
    assert {path.stat().st_uid for path in authority.folder.iterdir()} == {other}
