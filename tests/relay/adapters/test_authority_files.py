"""The authority's files: its register, its keys, and what happens where one of them is spoilt or gone."""

from __future__ import annotations

import itertools
import shutil
import stat
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from doorbell.errors import SetupError
from relay.adapters.authority import Authority, create_authority, keys, renew_issuing
from relay.adapters.authority import authority as module
from relay.adapters.authority.x509 import ROOT_LASTS
from relay.issued import Purpose, Why
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from tests.relay.identities import (
    BEGAN,
    PASSPHRASE,
    Calendar,
    authority,
    calendar,
    cheap,
    lets_in,
    refused,
    request_of,
    revoked_in,
)

__all__ = ["authority", "calendar", "cheap"]

# --- the register on the disk ----------------------------------------------------------------------------------------


def test_a_line_that_was_cut_off_by_a_power_cut_is_forgotten_and_overwritten(authority: Authority) -> None:
    authority.issue(Purpose.DEVICE, "bell-peng")
    file = authority.folder / "issued.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:50])
    assert [one.name for one in authority.register()] == ["bell-peng"]
    authority.issue(Purpose.DEVICE, "bell-wu")
    assert [one.name for one in authority.register()] == ["bell-peng", "bell-wu"]
    assert file.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"[]\n",
        b'{"did":"revoked","at":"2026-11-30T08:00:00Z","name":"x","number":"1","why":"lost"}\n',
        b'{"did":"revoked","at":"2026-11-30T08:00:00Z","name":"x","number":"1","why":"angry"}\n',
    ],
)
def test_a_register_that_somebody_has_edited_is_refused_with_its_line(authority: Authority, line: bytes) -> None:
    authority.issue(Purpose.DEVICE, "bell-peng")
    file = authority.folder / "issued.jsonl"
    file.write_bytes(file.read_bytes() + line)
    with pytest.raises(SetupError, match=r"issued\.jsonl:2: "):
        authority.issue(Purpose.DEVICE, "bell-wu")


def test_no_certificate_leaves_that_the_register_does_not_know(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "append_whole", full)
    with pytest.raises(RefusalError, match="No space left on device"):
        authority.issue(Purpose.DEVICE, "bell-peng")


def test_every_serial_and_number_is_another(authority: Authority) -> None:
    made = [authority.issue(Purpose.DEVICE, f"bell-{n}").line for n in range(20)]
    assert len({one.serial for one in made}) == len({one.number for one in made}) == 20
    assert all(int(one.serial, 16).bit_length() <= 159 for one in made), "20 bytes at most, RFC 5280"


def test_only_its_owner_can_read_a_key(authority: Authority) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in authority.folder.iterdir()}
    assert {modes[name] for name in modes if "key" in name} == {0o600}
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


# --- its keys --------------------------------------------------------------------------------------------------------


def test_everything_daily_works_without_the_roots_key(authority: Authority) -> None:
    authority.root_key_file.unlink()
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    authority.sign(request_of("bell-peng"), Purpose.DEVICE, renewing=True)
    authority.revoke("bell-peng", Why.STOLEN)
    assert lets_in(made, BEGAN)
    assert not authority.root_key_is_here


def test_a_renewed_issuing_authority_signs_and_the_former_ones_certificates_stand(
    authority: Authority, calendar: Calendar, tmp_path: Path
) -> None:
    old = authority.issue(Purpose.DEVICE, "bell-old")
    calendar.pass_by(300)
    again = authority.issue(Purpose.DEVICE, "bell-again")
    stick = authority.root_key_file.rename(tmp_path / "stick.pem")
    with pytest.raises(RefusalError) as refusal:
        renew_issuing(authority, PASSPHRASE)
    assert refused(refusal, say.NO_ROOT_KEY)
    renew_issuing(authority, PASSPHRASE, stick)
    authority = Authority(authority.folder, now=calendar.now)
    new = authority.issue(Purpose.DEVICE, "bell-new")
    assert (old.line.issuer, again.line.issuer, new.line.issuer) == (1, 1, 2)
    assert lets_in(again, calendar.at)
    assert lets_in(new, calendar.at)
    authority.revoke("bell-again", Why.LOST)
    authority.revoke("bell-new", Why.LOST)
    raw = authority.revocation_list()
    assert (raw.count(b"BEGIN X509 CRL"), revoked_in(raw)) == (2, {again.line.serial, new.line.serial})


def test_a_list_without_the_new_authority_is_not_current(authority: Authority) -> None:
    """Without its list a broker refuses everybody whom it has signed."""
    before = authority.revocation_list()
    renew_issuing(authority, PASSPHRASE)
    authority = Authority(authority.folder, now=authority.now)
    (authority.folder / "revoked.pem").write_bytes(before)
    assert authority.revocation_list().count(b"BEGIN X509 CRL") == 2


def test_nothing_outlasts_who_signed_it(authority: Authority, calendar: Calendar) -> None:
    calendar.pass_by(500)
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    assert made.line.until == authority.issuing[0].until
    calendar.pass_by(230)
    with pytest.raises(RefusalError) as refusal:
        authority.issue(Purpose.DEVICE, "bell-wu")
    assert refused(refusal, say.ISSUING_ENDED)
    calendar.pass_by(9 * 365 - 730)
    assert renew_issuing(authority, PASSPHRASE).until == BEGAN + ROOT_LASTS
    calendar.pass_by(366)
    with pytest.raises(RefusalError) as refusal:
        renew_issuing(authority, PASSPHRASE)
    assert refused(refusal, say.ROOT_ENDED)


def test_a_machine_that_lives_before_the_authority_issues_nothing(authority: Authority, calendar: Calendar) -> None:
    """A device would be given a certificate that has ended."""
    calendar.at = datetime.fromtimestamp(0, BEGAN.tzinfo)
    with pytest.raises(RefusalError) as refusal:
        authority.issue(Purpose.DEVICE, "bell-peng")
    assert refused(refusal, say.CLOCK_BEHIND)


def test_a_wrong_passphrase_opens_nothing(cheap: None, calendar: Calendar, tmp_path: Path) -> None:
    made = create_authority(tmp_path / "a", "社区", PASSPHRASE, "another long passphrase", calendar.now)
    made.issue(Purpose.DEVICE, "bell-peng")
    for wrong in (None, PASSPHRASE, ""):
        with pytest.raises(RefusalError) as refusal:
            Authority(made.folder, lambda wrong=wrong: wrong, calendar.now).issue(Purpose.DEVICE, "bell-wu")  # type: ignore[misc]
        assert refused(refusal, say.ISSUING_PASSPHRASE)
    with pytest.raises(RefusalError) as refusal:
        renew_issuing(made, "another long passphrase")
    assert refused(refusal, say.ROOT_PASSPHRASE)
    renew_issuing(made, PASSPHRASE)
    assert keys.is_encrypted((made.folder / "issuing-2-key.pem").read_bytes())
    assert not keys.is_encrypted((made.folder / "issuing-2.pem").read_bytes())


def test_a_key_of_somebody_else_is_not_used(cheap: None, authority: Authority, tmp_path: Path) -> None:
    other = create_authority(tmp_path / "other", "西湖山社区", PASSPHRASE)
    with pytest.raises(RefusalError) as refusal:
        renew_issuing(authority, PASSPHRASE, other.root_key_file)
    assert refused(refusal, say.OTHER_KEY)
    shutil.copy(other.folder / "issuing-1-key.pem", authority.folder)
    with pytest.raises(RefusalError) as refusal:
        authority.issue(Purpose.DEVICE, "bell-peng")
    assert refused(refusal, say.OTHER_KEY)


@pytest.mark.parametrize("passphrase", ["", "short", "elevenchars"])
def test_a_passphrase_that_is_quickly_guessed_is_refused(tmp_path: Path, passphrase: str) -> None:
    for pair in ((passphrase, None), (PASSPHRASE, passphrase)):
        with pytest.raises(RefusalError) as refusal:
            create_authority(tmp_path / "a", "社区", *pair)
        assert refused(refusal, say.SHORT_PASSPHRASE)
    assert not (tmp_path / "a").exists()


def test_guessing_a_passphrase_costs_half_a_second_and_much_memory() -> None:
    """OpenSSL's own 2,048 rounds are a microsecond on a graphics card."""
    key = keys.new_key()
    packed = keys.pack_key(key, PASSPHRASE)
    assert packed.startswith(b"Stretched by scrypt: n=131072 r=8 p=1 salt=")
    assert keys.unpack_key(packed, PASSPHRASE).private_numbers() == key.private_numbers()
    with pytest.raises(ValueError, match=r".*"):
        serialization.load_pem_private_key(packed, PASSPHRASE.encode())


def test_an_authority_is_never_made_over_another(authority: Authority) -> None:
    before = authority.ca
    with pytest.raises(RefusalError) as refusal:
        create_authority(authority.folder, "另一个", PASSPHRASE)
    assert refused(refusal, say.AUTHORITY_EXISTS)
    assert Authority(authority.folder).ca == before


@pytest.mark.parametrize("community", ["", "x" * 65, "a\nb"])
def test_a_name_that_no_certificate_can_hold_is_refused(tmp_path: Path, community: str) -> None:
    with pytest.raises(RefusalError) as refusal:
        create_authority(tmp_path / "a", community, PASSPHRASE)
    assert refused(refusal, say.BAD_COMMUNITY)


def test_a_folder_without_an_authority_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="doorbell-relay authority create"):
        Authority(tmp_path)


@pytest.mark.parametrize(
    ("file", "spoilt"), list(itertools.product(["issuing-1.pem", "issuing-1-key.pem"], [None, b"", b"rubbish"]))
)
def test_a_file_that_is_gone_or_spoilt_is_named(authority: Authority, file: str, spoilt: bytes | None) -> None:
    path = authority.folder / file
    path.unlink() if spoilt is None else path.write_bytes(spoilt)
    with pytest.raises(RefusalError, match=file):
        Authority(authority.folder).issue(Purpose.DEVICE, "bell-peng")
