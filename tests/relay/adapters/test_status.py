"""The status listener: what it answers, and that nobody who connects can hurt it or hold it up."""

import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import pytest

from relay.adapters import status
from relay.adapters.status import MAX_CLIENTS, MAX_HEAD_BYTES, StatusAnswer, StatusListener


def hello(accept: str) -> StatusAnswer:
    return StatusAnswer(HTTPStatus.OK, "text/plain", f"好 {accept}".encode())


def crash(_accept: str) -> StatusAnswer:
    raise KeyError("no such figure")


@pytest.fixture
def listener() -> Iterator[StatusListener]:
    made = StatusListener("127.0.0.1", 0, {"/hello": hello, "/crash": crash})
    yield made
    made.close()


def ask(listener: StatusListener, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    connection = HTTPConnection(*listener.address, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": "text/x"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def raw(listener: StatusListener, text: bytes) -> bytes:
    """Everything that comes back, until the listener closes; a reset counts as nothing."""
    with socket.create_connection(listener.address, timeout=10) as client:
        client.sendall(text)
        answer = b""
        try:
            while part := client.recv(4096):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def test_a_page_is_given_whole_and_once(listener: StatusListener) -> None:
    code, body, headers = ask(listener, "/hello?x=1")
    assert (code, body) == (200, "好 text/x")
    assert headers["Connection"] == "close"
    assert headers["Content-Length"] == str(len(body.encode()))
    assert ask(listener, "/hello", "HEAD")[:2] == (200, "")


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/", 404), ("POST", "/hello", 405), ("PUT", "/x", 405)])
def test_what_is_not_served_is_refused_by_its_code(listener: StatusListener, method: str, path: str, code: int) -> None:
    assert ask(listener, path, method)[0] == code


@pytest.mark.parametrize("text", [b"GET /hello\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET /hello SMTP/1\r\n\r\n"])
def test_what_is_no_http_is_a_bad_request(listener: StatusListener, text: bytes) -> None:
    assert raw(listener, text).startswith(b"HTTP/1.1 400 ")


def test_a_head_without_end_is_read_to_its_limit_only(listener: StatusListener) -> None:
    assert raw(listener, b"GET /" + b"a" * (MAX_HEAD_BYTES + 8192)) == b""
    assert ask(listener, "/hello")[0] == 200


def test_a_page_that_cannot_be_made_is_told_and_the_next_one_is_served(
    listener: StatusListener, allow_error_logs: list[dict[str, Any]]
) -> None:
    assert ask(listener, "/crash")[0] == 500
    assert [line["event"] for line in allow_error_logs] == ["status.crashed"]
    assert ask(listener, "/hello")[0] == 200


def test_more_clients_than_there_is_room_for_are_turned_away_and_the_others_are_served(
    listener: StatusListener,
) -> None:
    slow = [socket.create_connection(listener.address, timeout=10) for _ in range(MAX_CLIENTS)]
    try:
        for client in slow:
            client.sendall(b"GET /hello HTTP/1.1\r\n")
        assert raw(listener, b"GET /hello HTTP/1.1\r\n\r\n") == b""
        for client in slow:
            client.sendall(b"\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        for client in slow:
            client.close()
    assert ask(listener, "/hello")[0] == 200


def test_a_client_that_dribbles_is_cut_off(listener: StatusListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "REQUEST_S", 0.1)
    with socket.create_connection(listener.address, timeout=10) as client:
        client.sendall(b"GET /hel")
        assert client.recv(100) == b""


def test_closed_it_gives_its_port_back(listener: StatusListener) -> None:
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.address, timeout=10)
    again = StatusListener("127.0.0.1", listener.address[1], {})
    again.close()
