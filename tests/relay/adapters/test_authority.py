"""The authority: whom its certificates let in, that what it takes back stays out, and that it never loses track."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from doorbell.certificates import read_identity_number, read_validities
from doorbell.connection import session_name
from doorbell.settings import TlsSettings
from relay.adapters.authority import Authority, create_authority
from relay.adapters.authority.x509 import BACKDATED, ISSUING_LASTS, LASTS, ROOT_LASTS
from relay.issued import BROKER_ALIAS, Purpose, Why
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from tests.relay.identities import (
    BEGAN,
    DAY,
    PASSPHRASE,
    Calendar,
    authority,
    calendar,
    chain_of,
    cheap,
    lets_in,
    refused,
    request_of,
    revoked_in,
)

__all__ = ["authority", "calendar", "cheap"]

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
        assert names.get_values_for_type(x509.DNSName) == ["bell.example.org", BROKER_ALIAS]
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


def test_a_session_has_the_identitys_number_in_its_name(authority: Authority, tmp_path: Path) -> None:
    """Nobody else can say it, where a broker lets anybody take over whom they can name."""
    made = authority.issue(Purpose.DEVICE, "bell-peng")
    file = tmp_path / "chain.pem"
    file.write_bytes(made.chain)
    assert read_identity_number(file) == made.line.number
    assert session_name("bell-peng", TlsSettings(ca=file, certificate=file)) == f"bell-peng-{made.line.number}"
    file.write_bytes(authority.ca)
    assert session_name("bell-peng", TlsSettings(ca=file, certificate=file)) == "bell-peng"
    assert session_name("bell-peng", TlsSettings(ca=file)) == session_name("bell-peng", None) == "bell-peng"


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
