"""Settings from a file: every mistake names the file, the key or line, and what to do."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from doorbell.errors import SetupError
from doorbell.settings import FilePathSetting, MqttSettings, Settings, TlsSettings, load_settings


class Station(Settings):
    """Like a program's settings: sections, a list of sections, a path."""

    name: str
    data: FilePathSetting = Path("var")
    mqtt: MqttSettings = MqttSettings()
    doors: tuple[TlsSettings, ...] = ()


FALLBACK = 'name = "a"\n[mqtt]\nhost = "a"\n[[mqtt.fallback]]\n'


def load(tmp_path: Path, text: str | bytes) -> Station:
    path = tmp_path / "station.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(Station, path)


def test_what_is_not_said_has_the_documented_default(tmp_path: Path) -> None:
    station = load(tmp_path, 'name = "a"')
    assert station.mqtt == MqttSettings(
        host="127.0.0.1",
        port=1883,
        client_id=None,
        username=None,
        password_file=None,
        tls=None,
        keepalive_s=30,
        prefix="doorbell/v1",
        connect_timeout_s=5.0,
        backoff_min_s=0.5,
        backoff_max_s=30.0,
        fallback=(),
        return_s=60.0,
    )
    assert station.mqtt.brokers() == (station.mqtt,)


def test_relative_paths_count_from_the_file_wherever_it_is_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
        name = "a"
        data = "state"
        [mqtt]
        password_file = "/run/secret"
        [mqtt.tls]
        ca = "keys/ca.pem"
        """
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "station.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    station = load_settings(Station, Path("etc/station.toml"))
    assert station.data == tmp_path / "etc" / "state"
    assert station.mqtt.password_file == Path("/run/secret")
    assert station.mqtt.tls == TlsSettings(ca=tmp_path / "etc" / "keys" / "ca.pem")


def test_settings_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        load(tmp_path, 'name = "a"').name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "name: missing; add it"),
        ('name = "a"\nnmae = 1', "nmae: unknown key; did you mean 'name'?"),
        ('name = "a"\n[mqtt]\nhots = "x"', "mqtt.hots: unknown key; did you mean 'host'?"),
        ('name = "a"\n[mqtt.tls]\nca = "x"\nzzz = 1', "mqtt.tls.zzz: unknown key; known here: ca, certificate, key,"),
        ('name = "a"\n[[doors]]\nca = "x"\nkeyy = "y"', "doors.0.keyy: unknown key; did you mean 'key'?"),
        ('name = "a"\n[mqtt]\nport = 70000', "mqtt.port: Input should be less than or equal to 65535, not 70000"),
        ('name = "a"\n[mqtt]\nport = "x"', "mqtt.port: Input should be a valid integer"),
        ('name = "a"\n[mqtt]\nprefix = "a//b"', "mqtt.prefix: topic prefix 'a//b': use letters, digits"),
        ('name = "a"\n[mqtt]\nbackoff_min_s = 9\nbackoff_max_s = 2', "mqtt: backoff_max_s (2) is less than"),
        ('name = "a"\n[mqtt]\nkeepalive_s = inf', "mqtt.keepalive_s: "),
        ('name = "a"\n[mqtt.tls]\nca = "x"\nkey = "y"', "mqtt.tls: there is a key but no certificate"),
        ('name = "a"\n[mqtt]\npassword = "secret"', "mqtt.password: unknown key; did you mean 'password_file'?"),
        ('name = "a"\n[mqtt.tls]\nca = "~nobody-here/x"', "mqtt.tls.ca: ~nobody-here/x: there is no user of that name"),
        (FALLBACK + "", "mqtt.fallback.0.host: missing; add it"),
        (FALLBACK + 'host = "b"\nprot = 1', "mqtt.fallback.0.prot: unknown key; did you mean 'port'?"),
        (FALLBACK + 'host = "A."', "mqtt: fallback 1 (A.:1883) is the same as the first broker; name another broker"),
        (
            FALLBACK + 'host="b"\n[[mqtt.fallback]]\nhost="b"',
            "mqtt: fallback 2 (b:1883) is the same as fallback 1; name",
        ),
        (FALLBACK + 'host = "b"\ntls.server_name = "x"', "mqtt: fallback 1: tls names no authority; add ca there, or"),
        (FALLBACK + 'host = "b"\ntls.ca = "x"\ntls.key = "y"', "mqtt: fallback 1: tls has a key but no certificate"),
        (
            FALLBACK + 'host = "b"' + 4 * '\n[[mqtt.fallback]]\nhost="c"',
            "mqtt.fallback: Tuple should have at most 4 items",
        ),
        ('name = "a"\n[mqtt]\nreturn_s = 1', "mqtt.return_s: Input should be greater than or equal to 5"),
        ('name = "a"\nport = = 1', "not valid TOML: Invalid value (at line 2, column 8)"),
        (b'name = "a"\n\n# \xff', "line 3 is not UTF-8"),
        (b"#" * 1_100_000, "larger than 1 MiB"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_remedy(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(SetupError) as caught:
        load(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path / 'station.toml'}: {told}")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        load(tmp_path, "x = 1\n[mqtt]\nport = 0\n")
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["name", "mqtt.port", "x"]


def test_a_file_that_is_not_there_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="there is no such file"):
        load_settings(Station, tmp_path / "none.toml")
    with pytest.raises(SetupError, match="cannot be read"):
        load_settings(Station, tmp_path)


def test_a_fallback_is_like_the_first_broker_but_for_what_it_says(tmp_path: Path) -> None:
    text = """
        name = "a"
        [mqtt]
        host = "one"
        port = 8883
        username = "liu"
        password_file = "password"
        keepalive_s = 20
        [mqtt.tls]
        ca = "ca.pem"
        certificate = "liu.pem"
        key = "liu.key"
        server_name = "broker-one"
        [[mqtt.fallback]]
        host = "two"
        [[mqtt.fallback]]
        host = "one"
        port = 8884
        username = "guest"
        tls = { ca = "ca2.pem", certificate = "guest.pem", server_name = "broker-three" }
        [[mqtt.fallback]]
        host = "four"
        password_file = "password4"
        """
    first, two, three, four = load(tmp_path, text).mqtt.brokers()
    assert first.fallback == two.fallback == ()
    assert first.tls is not None
    assert (first.host, first.tls.server_name) == ("one", "broker-one")
    # The name in the certificate is the one thing that is never shared: it would be the wrong one.
    assert two == first.model_copy(update={"host": "two", "tls": first.tls.model_copy(update={"server_name": None})})
    assert (three.host, three.port, three.username, three.password_file) == ("one", 8884, "guest", None)
    assert three.tls == TlsSettings(
        ca=tmp_path / "ca2.pem", certificate=tmp_path / "guest.pem", key=None, server_name="broker-three"
    )
    assert (four.username, four.password_file, four.keepalive_s) == ("liu", tmp_path / "password4", 20)


def test_tls_of_a_fallback_alone_needs_its_own_authority(tmp_path: Path) -> None:
    _, second = load(tmp_path, FALLBACK + 'host = "b"\nport = 8883\ntls.ca = "ca.pem"').mqtt.brokers()
    assert second.tls == TlsSettings(ca=tmp_path / "ca.pem")
