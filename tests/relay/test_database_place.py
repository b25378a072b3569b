"""Where the database is: what a person may write, and what is refused because it would be unsafe or is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbell.errors import SetupError
from relay.database import PostgresPlace, is_here, parse_place
from relay.settings import RelaySettings, load_relay_settings

URL = "postgresql://doorbell@127.0.0.1/doorbell"


def settings(folder: Path, text: str, **environment: str) -> RelaySettings:
    path = folder / "relay.toml"
    path.write_text(f'name = "test"\n{text}', encoding="utf-8")
    return load_relay_settings(path, environment)


@pytest.mark.parametrize(
    ("url", "user", "hosts", "name"),
    [
        ("postgresql:///doorbell", None, (("/var/run/postgresql", 5432),), "doorbell"),
        ("postgresql://relay@/doorbell?host=/run/pg&port=5433", "relay", (("/run/pg", 5433),), "doorbell"),
        ("postgres://re%40lay@localhost:5433/door%20bell", "re@lay", (("localhost", 5433),), "door bell"),
        ("postgresql://a@[::1]:6000,127.0.0.2/b", "a", (("::1", 6000), ("127.0.0.2", 5432)), "b"),
    ],
)
def test_a_url_names_user_hosts_and_database(
    url: str, user: str | None, hosts: tuple[tuple[str, int], ...], name: str
) -> None:
    place = parse_place(url)
    assert (place.user, place.hosts, place.name) == (user, hosts, name)
    assert place.tls_mode == "prefer"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://doorbell:hunter2@127.0.0.1/doorbell", "holds a password"),
        ("mysql://127.0.0.1/doorbell", "only postgresql://"),
        ("postgresql://127.0.0.1", "name of the database is missing"),
        ("postgresql://127.0.0.1/a/b", "is no name"),
        ("postgresql://127.0.0.1:0/doorbell", "0 is not a port"),
        ("postgresql://127.0.0.1:http/doorbell", "http is not a port"),
        ("postgresql://:5432/doorbell", "not HOST or HOST:PORT"),
        ("postgresql://127.0.0.1/doorbell?sslmode=disable", "belongs into \\[postgresql\\]"),
        ("postgresql:///doorbell?host=127.0.0.1", "host=/FOLDER"),
        ("postgresql://[::1/doorbell", "not a URL"),
        (f"postgresql:///{'x' * 64}", "1 to 63 bytes"),
        ("postgresql://db.example.org/doorbell", "another machine"),
        ("postgresql://127.0.0.1,db.example.org/doorbell", "db.example.org is on another machine"),
        (f"postgresql://{','.join(['localhost'] * 9)}/doorbell", "1 to 8 hosts"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_the_password(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_place(url)
    assert "hunter2" not in str(caught.value)


def test_another_machine_is_spoken_to_with_tls_in_its_own_name() -> None:
    place = parse_place("postgresql://db.example.org/doorbell", ca=Path("/ca.pem"))
    assert place.tls_mode == "verify-full"
    assert parse_place("postgresql://10.0.0.7/doorbell", clear_text=True).tls_mode == "prefer"
    assert parse_place(URL, ca=Path("/ca.pem")).tls_mode == "verify-full"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.5", True),
        ("::1", True),
        ("/run/pg", True),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("0.0.0.0", False),
    ],
)
def test_what_counts_as_this_machine(host: str, here: bool) -> None:
    assert is_here(host) is here


def test_a_place_is_shown_without_secrets() -> None:
    place = parse_place("postgresql://a@[::1]:6000,127.0.0.2/b", password_file=Path("/etc/secret"))
    assert str(place) == "postgresql://a@[::1]:6000,127.0.0.2:5432/b"
    assert str(parse_place("postgresql:///doorbell")) == "postgresql:///doorbell"


def test_a_file_counts_from_the_settings_and_a_url_is_left_alone(tmp_path: Path) -> None:
    assert settings(tmp_path, 'database = "data/relay.sqlite3"').place() == tmp_path / "data" / "relay.sqlite3"
    text = f'database = "{URL}"\n[postgresql]\npassword_file = "db.password"\nca = "ca.pem"'
    assert settings(tmp_path, text).place() == PostgresPlace(
        "doorbell",
        (("127.0.0.1", 5432),),
        user="doorbell",
        password_file=tmp_path / "db.password",
        ca=tmp_path / "ca.pem",
    )


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = f'database = "{URL}"\n[postgresql]\npassword_file = "db.password"'
    other = settings(tmp_path, text, DOORBELL_RELAY_DATABASE="postgresql://localhost/other").place()
    assert other == PostgresPlace("other", (("localhost", 5432),), password_file=tmp_path / "db.password")
    assert settings(tmp_path, text, DOORBELL_RELAY_DATABASE="x.sqlite3").place() == tmp_path / "x.sqlite3"
    assert settings(tmp_path, text, DOORBELL_RELAY_DATABASE="").place() == settings(tmp_path, text).place()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('database = "postgresql://u:hunter2@h/d"', "holds a password"),
        ('database = "postgresql://db.example.org/d"', r"set \[postgresql\] ca"),
        ('database = "a.sqlite3"\n[postgresql]\nca = "ca.pem"', "database is a file"),
        (f'database = "{URL}"\n[postgresql]\ncertificate = "a.pem"', "both certificate and key"),
        (f'database = "{URL}"\n[postgresql]\npasword_file = "a"', "did you mean 'password_file'"),
        ("database = 5", "database"),
    ],
)
def test_a_mistake_in_the_settings_names_the_file_and_the_remedy(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint) as caught:
        settings(tmp_path, text)
    assert "relay.toml" in str(caught.value)
    assert "hunter2" not in str(caught.value)
