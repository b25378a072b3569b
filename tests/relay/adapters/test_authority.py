"""The authority: whom its certificates let in, that what it takes back stays out, and that it never loses track."""

from __future__ import annotations

import itertools
import shutil
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from doorbell.certificates import read_validities
from doorbell.errors import SetupError
from relay.adapters.authority import Authority, Credential, create_authority, keys, renew_issuing
from relay.adapters.authority import authority as module
from relay.adapters.authority.x509 import BACKDATED, ISSUING_LASTS, LASTS, ROOT_LASTS, load_certificate
from relay.issued import Purpose, Why
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from tests.relay.identities import BEGAN, DAY, PASSPHRASE, Calendar, authority, calendar, cheap

__all__ = ["authority", "calendar", "cheap"]

CERTIFICATE_END = b"-----END CERTIFICATE-----\n"


def chain_of(made: Credential) -> list[x509.Certificate]:
    return [load_certificate(part + CERTIFICATE_END) for part in made.chain.split(CERTIFICATE_END)[:-1]]


def lets_in(made: Credential, at: datetime, ca: bytes | None = None) -> bool:
    """Whether a server that trusts the root lets this client in, by RFC 5280 and at that time."""
    leaf, *rest = chain_of(made)
    nameless = ExtensionPolicy.webpki_defaults_ee().may_be_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    )
    policy = PolicyBuilder().store(Store([load_certificate(ca or made.ca)])).time(at)
    verifier = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=nameless
    ).build_client_verifier()
    try:
        verifier.verify(leaf, rest)
    except VerificationError:
        return False
    return True


def revoked_in(raw: bytes) -> set[str]:
    """The serials in every list of a file, all of which must be there to be read by a broker."""
    end = b"-----END X509 CRL-----\n"
    return {f"{one.serial_number:x}" for part in raw.split(end)[:-1] for one in x509.load_pem_x509_crl(part + end)}


def request_of(name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    asking = x509.CertificateSigningRequestBuilder(subject).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    made = asking.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def refused(refusal: pytest.ExceptionInfo[RefusalError], text: object) -> bool:
    return refusal.value.text is text


# --- what a certificate says ------------------------------------------------------------------------------------------


def test_a_device_is_let_in_from_before_it_was_made_until_a_year_later(authority: Authority) -> None:
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    assert not lets_in(made, BEGAN - BACKDATED - DAY)
    assert lets_in(made, BEGAN - BACKDATED)
    assert lets_in(made, BEGAN + LASTS)
    assert not lets_in(made, BEGAN + LASTS + timedelta(seconds=1))


def test_only_the_root_that_signed_it_is_trusted(cheap: None, authority: Authority, tmp_path: Path) -> None:
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    other = create_authority(tmp_path / "other", "西湖山社区", PASSPHRASE)
    assert not lets_in(made, BEGAN, other.ca)
    assert lets_in(made, BEGAN, authority.ca)


@pytest.mark.parametrize(
    ("purpose", "name", "common_name", "uses"),
    [
        (Purpose.DEVICE, "bell-peng", "bell-peng", {ExtendedKeyUsageOID.CLIENT_AUTH}),
        (Purpose.RELAY, "main", "relay-main", {ExtendedKeyUsageOID.CLIENT_AUTH}),
        (
            Purpose.BROKER,
            "first",
            "broker.first",
            {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH},
        ),
    ],
)
def test_a_certificate_says_who_it_is_and_what_it_is_good_for(
    authority: Authority, purpose: Purpose, name: str, common_name: str, uses: set[x509.ObjectIdentifier]
) -> None:
    made = authority.issue(purpose, name, hosts=("192.168.1.10", "bell.example.org") if name == "first" else ())
    leaf = chain_of(made)[0]
    assert [str(one.value) for one in leaf.subject] == [common_name, made.line.number]
    extensions = leaf.extensions
    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == uses
    assert extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(False, None)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    if purpose is Purpose.BROKER:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["bell.example.org"]
        assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.168.1.10"]


def test_an_issuing_authority_makes_no_authorities(authority: Authority) -> None:
    root, issuing = authority.root, authority.issuing[0].certificate
    lengths = [one.extensions.get_extension_for_class(x509.BasicConstraints).value for one in (root, issuing)]
    assert lengths == [x509.BasicConstraints(True, 1), x509.BasicConstraints(True, 0)]
    assert (root.not_valid_after_utc, issuing.not_valid_after_utc) == (BEGAN + ROOT_LASTS, BEGAN + ISSUING_LASTS)


def test_the_doorbell_reads_our_certificates_dates(authority: Authority, tmp_path: Path) -> None:
    """What a device asks when its clock is wrong (docs/adr/0008)."""
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    (tmp_path / "chain.pem").write_bytes(made.chain)
    own, issuing = read_validities(tmp_path / "chain.pem")
    assert (own.not_before, own.not_after) == (BEGAN - BACKDATED, BEGAN + LASTS)
    assert issuing.not_after == BEGAN + ISSUING_LASTS


@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        (Purpose.DEVICE, "relay-main"),
        (Purpose.DEVICE, "broker.first"),
        (Purpose.DEVICE, "Bell"),
        (Purpose.DEVICE, "bell-peng\n"),
        (Purpose.DEVICE, "a" * 64),
        (Purpose.DEVICE, ""),
        (Purpose.DEVICE, "+"),
        (Purpose.DEVICE, "#"),
        (Purpose.RELAY, "a" * 58),
        (Purpose.RELAY, "a.b"),
        (Purpose.BROKER, "西湖"),
    ],
)
def test_nobody_gets_a_name_that_is_another_kind_or_none(authority: Authority, purpose: Purpose, name: str) -> None:
    with pytest.raises(RefusalError) as refusal:
        authority.issue(purpose, name, hosts=("127.0.0.1",))
    assert refused(refusal, say.BAD_NAMES[purpose])
    assert list(authority.register()) == []


@pytest.mark.parametrize("host", ["", "-a", "a-.b", "a..b", "a_b", "西湖", "1.2.3.256", "a" * 64, "*.b", "a b", "a.1"])
def test_a_broker_is_for_hosts_only(authority: Authority, host: str) -> None:
    with pytest.raises(RefusalError) as refusal:
        authority.issue(Purpose.BROKER, "first", hosts=("fd00::1", host))
    assert refused(refusal, say.BAD_HOST)
    with pytest.raises(RefusalError) as refusal:
        authority.issue(Purpose.BROKER, "first")
    assert refused(refusal, say.NO_HOST)


# --- one name, one identity ------------------------------------------------------------------------------------------


def test_a_name_has_one_identity_at_a_time(authority: Authority) -> None:
    first = authority.issue(Purpose.DEVICE, "bell-peng")
    with pytest.raises(RefusalError) as refusal:
        authority.issue(Purpose.DEVICE, "bell-peng")
    assert refused(refusal, say.HAS_IDENTITY)
    second = authority.issue(Purpose.DEVICE, "bell-peng", replacing=Why.BROKEN)
    assert first.line.number != second.line.number
    assert revoked_in(authority.revocation_list()) == {first.line.serial}
    assert [one.revoked is None for one in authority.register()] == [False, True]
    assert authority.register().standing("bell-peng", BEGAN) == list(authority.register())[1]


def test_a_name_whose_identity_has_ended_gets_a_new_one(authority: Authority, calendar: Calendar) -> None:
    authority.issue(Purpose.DEVICE, "bell-peng")
    calendar.pass_by(366)
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    assert lets_in(made, calendar.at)


def test_replacing_where_nothing_is_to_be_replaced_is_a_plain_issue(authority: Authority) -> None:
    authority.issue(Purpose.DEVICE, "bell-peng", replacing=Why.BROKEN)
    assert [one.revoked for one in authority.register()] == [None]


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_request_gets_a_certificate_for_its_key_and_nothing_else_that_it_asks_for(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = authority.sign(request_of("bell-peng", key), Purpose.DEVICE)
    leaf = chain_of(made)[0]
    assert (leaf.public_key(), made.key) == (key.public_key(), None)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert lets_in(made, BEGAN)


def test_a_renewal_is_the_same_identity_and_is_taken_back_with_it(authority: Authority, calendar: Calendar) -> None:
    first = authority.issue(Purpose.DEVICE, "bell-peng")
    calendar.pass_by(300)
    second = authority.sign(request_of("bell-peng"), Purpose.DEVICE, renewing=True)
    assert (second.line.number, second.line.until) == (first.line.number, BEGAN + 300 * DAY + LASTS)
    authority.revoke("bell-peng", Why.STOLEN)
    assert revoked_in(authority.revocation_list()) == {first.line.serial, second.line.serial}


def test_a_request_takes_nobodys_name(authority: Authority) -> None:
    authority.issue(Purpose.DEVICE, "bell-peng")
    with pytest.raises(RefusalError) as refusal:
        authority.sign(request_of("bell-peng"), Purpose.DEVICE)
    assert refused(refusal, say.HAS_IDENTITY)
    with pytest.raises(RefusalError) as refusal:
        authority.sign(request_of("bell-wu"), Purpose.DEVICE, renewing=True)
    assert refused(refusal, say.NOTHING_TO_RENEW)


def test_what_is_taken_back_is_not_renewed(authority: Authority) -> None:
    authority.issue(Purpose.DEVICE, "bell-peng")
    authority.revoke("bell-peng", Why.STOLEN)
    with pytest.raises(RefusalError) as refusal:
        authority.sign(request_of("bell-peng"), Purpose.DEVICE, renewing=True)
    assert refused(refusal, say.NOTHING_TO_RENEW)


def forged_request() -> bytes:
    """A request for another's key: signed by who asks, not by the key that it names."""
    raw = x509.load_pem_x509_csr(request_of("bell-peng")).public_bytes(serialization.Encoding.DER)
    other = x509.load_pem_x509_csr(request_of("bell-peng")).public_bytes(serialization.Encoding.DER)
    mine, theirs = (x509.load_der_x509_csr(one).tbs_certrequest_bytes for one in (raw, other))
    return x509.load_der_x509_csr(raw.replace(mine, theirs)).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "request_pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        request_of("bell-peng", rsa.generate_private_key(65537, 2048)),
        request_of("bell-peng", ec.generate_private_key(ec.SECP384R1())),
        forged_request(),
    ],
)
def test_a_request_that_proves_nothing_is_refused(authority: Authority, request_pem: bytes) -> None:
    with pytest.raises(RefusalError) as refusal:
        authority.sign(request_pem, Purpose.DEVICE)
    assert refused(refusal, say.BAD_REQUEST)
    assert list(authority.register()) == []


# --- taking back -----------------------------------------------------------------------------------------------------


def test_taking_back_is_told_in_the_list_and_done_once(authority: Authority) -> None:
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    kept = authority.issue(Purpose.DEVICE, "bell-wu")
    assert revoked_in(authority.revocation_list()) == set()
    authority.revoke("bell-peng", Why.LOST)
    assert revoked_in((authority.folder / "revoked.pem").read_bytes()) == {made.line.serial}
    with pytest.raises(RefusalError) as refusal:
        authority.revoke("bell-peng", Why.LOST)
    assert refused(refusal, say.NOTHING_TO_REVOKE)
    with pytest.raises(RefusalError) as refusal:
        authority.revoke("bell-chen", Why.LOST)
    assert refused(refusal, say.UNKNOWN_IDENTITY)
    assert authority.register().standing(kept.line.name, BEGAN) is not None


def test_a_list_is_good_as_long_as_its_authority(authority: Authority) -> None:
    """A broker refuses everybody when its list is out of date: nobody must have to renew it in time."""
    listed = x509.load_pem_x509_crl(authority.revocation_list())
    assert listed.next_update_utc == authority.issuing[0].until
    assert listed.last_update_utc == BEGAN - BACKDATED
    assert listed.is_signature_valid(authority.issuing[0].certificate.public_key())  # type: ignore[arg-type]


def test_what_was_stopped_before_the_list_was_written_is_made_good(authority: Authority) -> None:
    """The register is the truth: killed between its line and the list, the next look at the list writes it."""
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    before = (authority.folder / "revoked.pem").read_bytes()
    authority.revoke("bell-peng", Why.STOLEN)
    for spoilt in (before, b"", b"rubbish"):
        (authority.folder / "revoked.pem").write_bytes(spoilt)
        assert revoked_in(authority.revocation_list()) == {made.line.serial}
        assert revoked_in((authority.folder / "revoked.pem").read_bytes()) == {made.line.serial}


def test_a_list_that_says_enough_is_left_alone(authority: Authority, calendar: Calendar) -> None:
    """Or a broker would be reloaded each time that somebody asks whether it is current."""
    authority.issue(Purpose.DEVICE, "bell-peng")
    authority.revoke("bell-peng", Why.STOLEN)
    before = authority.revocation_list()
    calendar.pass_by(400)  # the certificate has ended, and need not be in the list any more
    assert authority.revocation_list() == before


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
