"""TLS by a clock that is wrong, against a real TLS server: who is let in, and that nobody else ever is.

OpenSSL asks the machine's own clock. So it is the certificates that are moved: one that begins next year is what a
certificate of today is to a Pi that lives in last year.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from doorbell.certificates import validity_of
from doorbell.clock_doubt import SOFTWARE_EPOCH, ClockDoubt
from doorbell.dial import Knock, ask_chain
from doorbell.link import LinkDown, LinkUp
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.tls import tls_context
from tests.device.waiting import wait_until
from tests.doorbell.test_mqtt_tls import settings_of
from tests.system.brokers import MosquittoBroker
from tests.system.link_probe import WITHIN_S, LinkProbe

NAME = "broker.test"
NOW = datetime.now(UTC).replace(microsecond=0)
YEAR = timedelta(days=365)
Span = tuple[datetime, datetime]
VALID: Span = (NOW - YEAR, NOW + YEAR)
NOT_YET: Span = (NOW + timedelta(days=30), NOW + YEAR)
ENDED: Span = (NOW - YEAR, NOW - timedelta(days=30))
NOT_YET_WORDS, ENDED_WORDS = "certificate is not yet valid", "certificate has expired"


class Authority:
    """A certificate authority with dates of our own; trustme's always lasts from 2000 to 3000."""

    def __init__(self, name: str = "authority", span: Span = (NOW - 10 * YEAR, NOW + 10 * YEAR)) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self._name, span, self._key).issuer_name(self._name)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.pem = made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, file: Path, span: Span, name: str = NAME) -> Path:
        """A certificate with its key in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, span, key).issuer_name(self._name)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        written = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + written)
        return file

    @staticmethod
    def _builder(subject: x509.Name, span: Span, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        return builder.serial_number(x509.random_serial_number()).not_valid_before(span[0]).not_valid_after(span[1])


class TlsServer:
    """Shakes hands with whoever comes, one after another, with the certificate in ``file``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._file)
            with taken:
                try:
                    context.wrap_socket(taken, server_side=True).close()
                except OSError:
                    continue

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@dataclass
class Case:
    """A device with its files and its clock, and a broker. ``dials`` says None or why it was refused."""

    directory: Path
    authority: Authority = field(default_factory=Authority)
    synced: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    own: Path | None = None
    servers: list[TlsServer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.doubt = ClockDoubt(lambda: self.synced, lambda: self.now)
        self._names = itertools.count()

    def broker(self, span: Span, *, name: str = NAME, authority: Authority | None = None) -> TlsServer:
        file = self.directory / f"broker-{next(self._names)}.pem"
        self.servers.append(TlsServer((authority or self.authority).issue(file, span, name)))
        return self.servers[-1]

    def has_own(self, span: Span) -> None:
        self.own = self.authority.issue(self.directory / "own.pem", span, "bell-peng")

    def settings(self, server: TlsServer) -> MqttSettings:
        ca = self.directory / "ca.pem"
        ca.write_bytes(self.authority.pem)
        return MqttSettings(port=server.port, tls=TlsSettings(ca=ca, server_name=NAME))

    def dials(self, server: TlsServer) -> str | None:
        ca = self.directory / "ca.pem"
        ca.write_bytes(self.authority.pem)
        settings = TlsSettings(ca=ca, certificate=self.own, server_name=NAME)
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        try:
            with tls_context(settings, "127.0.0.1", self.doubt).wrap_socket(plain, server_hostname="127.0.0.1"):
                return None
        except ssl.SSLCertVerificationError as error:
            return str(error.verify_message)
        finally:
            plain.close()


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    for server in made.servers:
        server.stop()


def before_the_software(case: Case) -> None:
    case.now = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)


def before_our_own_certificate(case: Case) -> None:
    case.has_own((NOW + timedelta(days=20), NOW + YEAR))


def before_the_authority(case: Case) -> None:
    case.authority = Authority(span=(NOW + timedelta(days=20), NOW + YEAR))


def after_the_authority(case: Case) -> None:
    """2199 to a device whose authority ends in 2036."""
    case.now = datetime(2199, 1, 1, tzinfo=UTC)


WRONG = [before_the_software, before_our_own_certificate, before_the_authority, after_the_authority]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("span", [VALID, NOT_YET], ids=["valid", "not_yet"])
def test_a_clock_that_is_provably_wrong_keeps_nobody_from_the_broker(case: Case, wrong: object, span: Span) -> None:
    assert callable(wrong)
    wrong(case)
    assert case.dials(case.broker(span)) is None


@pytest.mark.parametrize("wrong", WRONG)
def test_nor_lets_it_a_stranger_in(case: Case, wrong: object) -> None:
    assert callable(wrong)
    wrong(case)
    stranger = Authority()
    for span in (VALID, NOT_YET, ENDED):
        words = case.dials(case.broker(span, authority=stranger))
        assert words is not None
        assert "unable to get local issuer certificate" in words or "self-signed" in words or "signature" in words
        words = case.dials(case.broker(span, name="elsewhere.test"))
        assert words is not None
        assert "Hostname mismatch" in words


@pytest.mark.parametrize("wrong", WRONG)
def test_what_has_ended_before_we_were_made_is_refused_by_the_worst_clock(case: Case, wrong: object) -> None:
    assert callable(wrong)
    wrong(case)
    ended = SOFTWARE_EPOCH - timedelta(days=1)
    words = case.dials(case.broker((ended - YEAR, ended)))
    assert words is not None
    assert words.startswith(ENDED_WORDS)


@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize(("span", "words"), [(ENDED, ENDED_WORDS), (VALID, None)], ids=["ended", "valid"])
def test_a_plausible_clock_judges(case: Case, *, synced: bool, span: Span, words: str | None) -> None:
    case.synced = synced
    case.has_own(VALID)
    server = case.broker(span)
    assert [case.dials(server), case.dials(server)] == [words, words]


def test_a_clock_that_ntp_has_set_judges_whatever_the_files_say(case: Case) -> None:
    for wrong in WRONG:
        wrong(case)
        case.synced = True
        assert case.dials(case.broker(NOT_YET)) == NOT_YET_WORDS
        assert case.dials(case.broker(ENDED)) in (ENDED_WORDS, NOT_YET_WORDS)  # the authority itself may be to come


def test_a_certificate_to_come_proves_to_an_unsynced_clock_that_it_is_behind_and_to_a_synced_one_nothing(
    case: Case,
) -> None:
    """Months in a drawer: the clock goes on where it stopped, and the broker's certificate is newer than that."""
    server = case.broker(NOT_YET)
    case.synced = True
    assert [case.dials(server), case.dials(server)] == [NOT_YET_WORDS, NOT_YET_WORDS]
    case.doubt = ClockDoubt(lambda: case.synced, lambda: case.now)
    case.synced = False
    assert [case.dials(server), case.dials(server), case.dials(server)] == [NOT_YET_WORDS, None, None]
    words = case.dials(case.broker(ENDED))
    assert words is not None
    assert words.startswith(ENDED_WORDS)
    case.synced = True
    assert case.dials(server) == NOT_YET_WORDS


def test_a_stranger_proves_nothing_about_the_clock(case: Case) -> None:
    stranger, ours = case.broker(NOT_YET, authority=Authority()), case.broker(NOT_YET)
    elsewhere = case.broker(NOT_YET, name="elsewhere.test")
    for server in (stranger, elsewhere, stranger):
        assert case.dials(server) not in (None, NOT_YET_WORDS)
    assert case.dials(ours) == NOT_YET_WORDS


def test_a_clock_ahead_of_the_certificate_but_not_of_the_authority_is_believed(case: Case) -> None:
    """The stated limit: such a clock cannot be told from a certificate that has really ended."""
    assert case.dials(case.broker(ENDED)) == ENDED_WORDS


def test_the_epoch_of_the_software_is_no_day_to_come() -> None:
    assert datetime.now(UTC) >= SOFTWARE_EPOCH


def test_the_relay_asks_no_doubt(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    assert not tls_context(TlsSettings(ca=ca), NAME).verify_flags & 0x200000


def test_the_knock_at_the_first_broker_doubts_as_the_link_does(case: Case) -> None:
    """Else a device that is at a fallback would never return to the first."""
    server = case.broker(NOT_YET)
    settings = case.settings(server)
    before_the_software(case)
    refusals = []
    for doubt in (case.doubt, None):
        knock = Knock(settings, 10.0, doubt)
        wait_until(knock.done)
        refusals.append(knock.refusal)
    assert refusals[0] is None
    assert NOT_YET_WORDS in (refusals[1] or "")


@pytest.fixture
def link_to_a_new_certificate(tmp_path: Path) -> Iterator[Callable[[ClockDoubt | None], LinkProbe]]:
    """Links to a real broker whose certificate begins in a month."""
    authority, probes = trustme.CA(), list[LinkProbe]()
    broker = MosquittoBroker(tmp_path / "broker", authority=authority)
    issued = authority.issue_cert("127.0.0.1", not_before=NOT_YET[0], not_after=NOT_YET[1])
    issued.cert_chain_pems[0].write_to_path(tmp_path / "broker" / "broker.pem")
    issued.private_key_pem.write_to_path(tmp_path / "broker" / "broker.key")
    broker.start()
    settings = settings_of(broker.port, tmp_path / "files", authority, "bell-peng")

    def link(doubt: ClockDoubt | None) -> LinkProbe:
        probes.append(LinkProbe(settings, "bell-peng", doubt=doubt))
        return probes[-1]

    yield link
    for probe in probes:
        probe.link.stop(WITHIN_S)
    broker.stop()


@pytest.mark.system
def test_the_link_comes_up_by_a_clock_in_1970_and_by_one_that_the_certificate_proves_to_be_behind(
    link_to_a_new_certificate: Callable[[ClockDoubt | None], LinkProbe],
) -> None:
    lost = link_to_a_new_certificate(ClockDoubt(lambda: False, lambda: datetime(1970, 1, 1, tzinfo=UTC)))
    lost.expect_next(LinkUp)
    lost.link.stop(WITHIN_S)
    behind = link_to_a_new_certificate(ClockDoubt(lambda: False))
    assert NOT_YET_WORDS in behind.expect_next(LinkDown).reason
    behind.expect_next(LinkUp)


@pytest.mark.system
def test_the_link_of_who_has_a_clock_stays_down(
    link_to_a_new_certificate: Callable[[ClockDoubt | None], LinkProbe],
) -> None:
    for doubt in (None, ClockDoubt(lambda: True)):
        probe = link_to_a_new_certificate(doubt)
        assert [NOT_YET_WORDS in probe.expect_next(LinkDown).reason for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("span", [VALID, NOT_YET, ENDED])
def test_the_dates_of_a_broker_can_be_asked_for_whatever_they_are(case: Case, span: Span) -> None:
    server = case.broker(span)
    chain = ask_chain(case.settings(server), 10.0)
    begins, ends = validity_of(chain[0]).not_before, validity_of(chain[0]).not_after
    assert (begins, ends) == span
    assert [ssl.DER_cert_to_PEM_cert(one) for one in chain[1:]] == [case.authority.pem.decode()]


def test_no_dates_are_taken_from_a_stranger(case: Case) -> None:
    for server in (case.broker(VALID, authority=Authority("stranger")), case.broker(VALID, name="other.test")):
        with pytest.raises(ssl.SSLCertVerificationError):
            ask_chain(case.settings(server), 10.0)
