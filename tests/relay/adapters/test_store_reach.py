"""How a server is reached: by a password that is said nowhere, by a certificate that is checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.database import PostgresPlace
from relay.ports import StoreError
from tests.postgres import PostgresServer
from tests.relay.rows import an_alarm, raising


def test_the_password_comes_from_a_file_and_is_said_nowhere(
    postgres: PostgresServer, name: str, tmp_path: Path
) -> None:
    place = postgres.place_by_password(name, tmp_path / "password")
    (tmp_path / "password").write_text("wrong-word\n")
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        SqlStore.open(place)
    assert "wrong-word" not in f"{caught.value!r} {caught.value.__cause__}"
    (tmp_path / "password").write_text(f"{postgres.password}\n")
    with closing(SqlStore.open(place, exclusive=True)) as store:
        store.commit(raising(an_alarm()))
        assert postgres.password not in repr(store._engine) + str(place)
    (tmp_path / "password").unlink()
    with pytest.raises(SetupError, match="cannot be read"):
        SqlStore.open(place)


def test_a_pgpass_file_will_do(
    postgres: PostgresServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:*:*:*:{postgres.password}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    with closing(SqlStore.open(replace(postgres.place_by_password(name, passfile), password_file=None))) as store:
        assert store.poll() == (0, [])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def with_tls(postgres: PostgresServer, authority: trustme.CA) -> Iterator[PostgresServer]:
    """The server with a certificate for 127.0.0.1."""
    issued = authority.issue_cert("127.0.0.1")
    key = postgres.give("server.key", issued.private_key_pem.bytes())
    chain = postgres.give("server.pem", b"".join(part.bytes() for part in issued.cert_chain_pems))
    with postgres.configured(ssl_cert_file=str(chain), ssl_key_file=str(key)), postgres.configured(ssl="on"):
        yield postgres


def trusting(place: PostgresPlace, authority: trustme.CA, folder: Path, host: str = "127.0.0.1") -> PostgresPlace:
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return replace(place, ca=folder / "ca.pem", hosts=((host, place.hosts[0][1]),))


def test_a_server_is_known_by_its_certificate(
    with_tls: PostgresServer, authority: trustme.CA, name: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(with_tls.password)
    place = with_tls.place_by_password(name, tmp_path / "password")
    with closing(SqlStore.open(trusting(place, authority, tmp_path))) as store, store.reading() as connection:
        assert connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar() is True
    with pytest.raises(StoreError, match="certificate"):  # in another name than the one that was asked for
        SqlStore.open(trusting(place, authority, tmp_path, host="localhost"))
    with pytest.raises(StoreError, match="certificate"):
        SqlStore.open(trusting(place, trustme.CA(), tmp_path))


def test_a_server_that_offers_no_tls_is_told_nothing(
    postgres: PostgresServer, authority: trustme.CA, name: str, tmp_path: Path
) -> None:
    """Whoever answers in the server's place must not get the password in clear text."""
    (tmp_path / "password").write_text(postgres.password)
    place = postgres.place_by_password(name, tmp_path / "password")
    SqlStore.open(place).close()
    with pytest.raises(StoreError, match="SSL"):
        SqlStore.open(trusting(place, authority, tmp_path))
