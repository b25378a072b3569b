"""Certificates against real TLS servers: valid, expired, foreign, of another name, and each told apart."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from device.doctor.certificate import check_broker_certificate, check_own_certificate, shake_hands
from device.doctor.x509 import read_der, read_pem
from device.findings import Finding
from doorbell.errors import SetupError
from doorbell.settings import MqttSettings, TlsSettings
from tests.device.doctor.showing import codes, severities

NOW = datetime.now(UTC)
DEVICE = "panel-liu"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Our Office")


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    return trustme.CA(organization_name="Somebody Else")


Files = Callable[..., TlsSettings]


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    """What provisioning leaves on a device; ``by`` has signed our own certificate."""

    def make(by: trustme.CA | None = None, name: str = DEVICE, days: int = 365, ahead: int = -1) -> TlsSettings:
        own = (by or authority).issue_cert(
            f"{name}.test",
            common_name=name,
            not_before=NOW + timedelta(days=ahead),
            not_after=NOW + timedelta(days=days, hours=1),
        )
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        own.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
        own.private_key_pem.write_to_path(tmp_path / "own.key")
        return TlsSettings(ca=tmp_path / "ca.pem", certificate=tmp_path / "own.pem", key=tmp_path / "own.key")

    return make


Serve = Callable[..., MqttSettings]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A TLS server with a certificate of ours; ``clients``: whose clients it lets in."""
    listening: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def make(
        by: trustme.CA, *, host: str = "127.0.0.1", days: int = 365, ahead: int = -1, clients: trustme.CA | None = None
    ) -> MqttSettings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        by.issue_cert(
            host,
            common_name="broker",
            not_before=NOW + timedelta(days=ahead),
            not_after=NOW + timedelta(days=days, hours=1),
        ).configure_cert(context)
        if clients is not None:
            clients.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def run() -> None:
            while True:
                try:
                    raw, _ = server.accept()
                except OSError:
                    return
                with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as tls:
                    tls.recv(1)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return MqttSettings(host="127.0.0.1", port=server.getsockname()[1])

    yield make
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(10)


def examined(mqtt: MqttSettings, tls: TlsSettings) -> Finding:
    return check_broker_certificate(shake_hands(mqtt, tls), mqtt, tls, NOW)


def test_a_certificate_that_is_well(serve: Serve, files: Files, authority: trustme.CA) -> None:
    finding = examined(serve(authority, clients=authority), files())
    assert severities([finding]) == {"certificate.accepted": "ok"}
    assert (finding.data["subject"], finding.data["issuer"], finding.data["days"]) == ("broker", "Our Office", 365)


def test_soon_expired_and_not_yet_valid_are_told_apart(serve: Serve, files: Files, authority: trustme.CA) -> None:
    tls = files()
    soon, expired = examined(serve(authority, days=29), tls), examined(serve(authority, days=-3, ahead=-30), tls)
    assert severities([soon, expired]) == {
        "certificate.broker_soon": "warning",
        "certificate.broker_expired": "failure",
    }
    assert (soon.data["days"], expired.data["days"]) == (29, 2)
    early = examined(serve(authority, ahead=5), tls)
    assert (codes([early]), early.data["days"]) == (["certificate.broker_not_yet"], 5)


def test_a_strangers_certificate_says_whose_it_is(serve: Serve, files: Files, stranger: trustme.CA) -> None:
    finding = examined(serve(stranger), files())
    assert severities([finding]) == {"certificate.broker_foreign": "failure"}
    assert (finding.data["issuer"], finding.data["ca"]) == ("Somebody Else", "Our Office")


def test_a_certificate_of_another_name_says_which(serve: Serve, files: Files, authority: trustme.CA) -> None:
    mqtt, tls = serve(authority, host="broker.test"), files()
    finding = examined(mqtt, tls)
    assert (codes([finding]), finding.data["names"]) == (["certificate.broker_name"], ["broker.test"])
    named = tls.model_copy(update={"server_name": "broker.test"})
    assert codes([examined(mqtt, named)]) == ["certificate.accepted"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_broker_that_refuses_ours_is_told_from_one_that_we_refuse(
    serve: Serve, files: Files, authority: trustme.CA, stranger: trustme.CA, version: ssl.TLSVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = ssl.SSLContext.wrap_socket

    def capped(self: ssl.SSLContext, *args: object, **options: object) -> ssl.SSLSocket:
        self.maximum_version = version
        return made(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", capped)
    finding = examined(serve(authority, clients=authority), files(by=stranger))
    assert (codes([finding]), "unknown ca" in finding.data["reason"]) == (["certificate.own_refused"], True)


def test_a_port_without_tls_is_told_as_such(files: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            raw, _ = plain.accept()
            with raw:
                raw.recv(100)
                raw.sendall(b"no TLS here\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        mqtt = MqttSettings(host="127.0.0.1", port=plain.getsockname()[1])
        assert codes([examined(mqtt, files())]) == ["certificate.not_tls"]
        thread.join(10)


# --- our own --------------------------------------------------------------------------------------------------------


def own(tls: TlsSettings, device: str = DEVICE) -> dict[str, str]:
    return severities(check_own_certificate(tls, device, NOW))


def test_our_own_certificate_good_and_bad(files: Files, stranger: trustme.CA) -> None:
    assert own(files()) == {"certificate.own_good": "ok"}
    assert own(files(days=29)) == {"certificate.own_soon": "warning"}
    assert own(files(days=-2, ahead=-30)) == {"certificate.own_expired": "failure"}
    assert own(files(ahead=3)) == {"certificate.own_not_yet": "failure"}
    assert own(files(name="panel-chen")) == {"certificate.own_name": "failure"}
    assert own(files(by=stranger)) == {"certificate.own_good": "ok", "certificate.own_foreign": "warning"}
    assert own(TlsSettings(ca=Path("ca.pem"))) == {"certificate.own_none": "note"}


@pytest.mark.parametrize("wrong", ["own.pem", "own.key", "ca.pem"])
@pytest.mark.parametrize("how", ["gone", "rubbish", "another's"])
def test_files_that_cannot_be_used_are_named(
    files: Files, tmp_path: Path, stranger: trustme.CA, wrong: str, how: str
) -> None:
    tls = files()
    path = tmp_path / wrong
    if how == "gone":
        path.unlink()
    elif how == "rubbish":
        path.write_text("rubbish")
    elif wrong == "ca.pem":
        stranger.cert_pem.write_to_path(path)
        assert own(tls) == {"certificate.own_good": "ok", "certificate.own_foreign": "warning"}
        return
    else:
        other = stranger.issue_cert("other.test", common_name="other")
        (other.private_key_pem if wrong == "own.key" else other.cert_chain_pems[0]).write_to_path(path)
    (finding,) = check_own_certificate(tls, DEVICE, NOW)
    assert codes([finding]) == ["certificate.unusable"]
    assert wrong in finding.data["reason"]
    with pytest.raises(SetupError):
        shake_hands(MqttSettings(port=1), tls)


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_certificate_reads_as_the_library_reads_it(authority: trustme.CA) -> None:
    leaf = authority.issue_cert("a.test", "192.0.2.1", "::1", "*.b.test", common_name="柳奶奶", organization_name="Org")
    for pem in (leaf.cert_chain_pems[0].bytes(), authority.cert_pem.bytes()):
        ours, theirs = read_pem(b"# a comment\n" + pem), x509.load_pem_x509_certificate(pem)
        assert (ours.not_before, ours.not_after) == (theirs.not_valid_before_utc, theirs.not_valid_after_utc)
    ours = read_pem(leaf.cert_chain_pems[0].bytes())
    assert (ours.subject, ours.issuer) == ("柳奶奶", "Our Office")
    assert ours.names == ("a.test", "192.0.2.1", "::1", "*.b.test")


def test_years_of_both_time_formats(authority: trustme.CA) -> None:
    for year in (1999, 2049, 2050, 2150):
        until = datetime(year, 6, 1, tzinfo=UTC)
        leaf = authority.issue_cert("a.test", not_before=datetime(1990, 1, 1, tzinfo=UTC), not_after=until)
        assert read_pem(leaf.cert_chain_pems[0].bytes()).not_after == until


@given(st.binary(max_size=400))
def test_what_is_no_certificate_is_a_value_error(rubbish: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - that it is one is the property
        read_der(rubbish)


def test_a_certificate_cut_anywhere_or_with_a_wrong_byte_never_ends_in_another_error(authority: trustme.CA) -> None:
    der = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    for at in range(len(der)):
        with pytest.raises(ValueError):  # noqa: PT011
            read_der(der[:at])
        with suppress(ValueError):
            read_der(der[:at] + bytes([der[at] ^ 0xFF]) + der[at + 1 :])
