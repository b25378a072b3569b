"""Reading when a certificate is valid, against the library that makes them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from doorbell.certificates import Validity, read_identity_number, read_validities

SECONDS = st.datetimes(datetime(1951, 1, 1), datetime(9998, 1, 1)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001 - aware below
AUTHORITY = trustme.CA()


@given(SECONDS, SECONDS)
def test_what_the_library_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, one: datetime, two: datetime
) -> None:
    begins, ends = sorted((one, two))
    file = tmp_path_factory.mktemp("certificate") / "chain.pem"
    issued = AUTHORITY.issue_cert("broker.test", not_before=begins, not_after=ends)
    file.write_bytes(issued.cert_chain_pems[0].bytes() + AUTHORITY.cert_pem.bytes())
    authority = x509.load_pem_x509_certificate(AUTHORITY.cert_pem.bytes())
    assert read_validities(file) == (
        Validity(begins.replace(tzinfo=UTC), ends.replace(tzinfo=UTC)),
        Validity(authority.not_valid_before_utc, authority.not_valid_after_utc),
    )


def test_a_certificate_beside_its_key_and_words_is_found(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    issued = AUTHORITY.issue_cert("broker.test")
    file.write_bytes("证书 certificate of the bell\n".encode() + issued.private_key_and_cert_chain_pem.bytes())
    assert len(read_validities(file)) == 1


@given(st.integers(0, 2_000), st.integers(0, 255))
def test_rubbish_is_passed_over(tmp_path_factory: pytest.TempPathFactory, at: int, byte: int) -> None:
    file = tmp_path_factory.mktemp("certificate") / "bad.pem"
    content = bytearray(AUTHORITY.cert_pem.bytes())
    content[at % len(content)] = byte
    file.write_bytes(content)
    assert len(read_validities(file)) <= 1
    assert read_identity_number(file) is None
    file.write_bytes(content[: at % (len(content) - 1)])  # without its last line's end it is still whole
    assert read_validities(file) == ()
    assert read_identity_number(file) is None


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_validities(tmp_path / "none.pem")
    assert read_identity_number(tmp_path / "none.pem") is None
