# SPDX-License-Identifier: EUPL-1.2

"""`stam-adapter health`: what the running daemon says of itself, with an exit code."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import Result

from adapter.simulator import World

READY = {"status": "ready", "reasons": [], "warnings": ["the certificate of voorbeeldstad ends in 20 days"]}
NOT_READY = {"status": "not ready", "reasons": ["the database does not answer; see whether it runs"]}


@dataclass
class Listener:
    """What listens where the admin listener should, and what it was asked."""

    port: int
    status: int = 200
    body: bytes = b""
    asked: list[str] = field(default_factory=list)

    def say(self, document: object, status: int = 200) -> None:
        self.status, self.body = status, json.dumps(document).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with serving() as said:
        yield said


class serving:  # noqa: N801  # reads as a with statement
    """A small server, over TLS where a world gives it a certificate."""

    def __init__(self, world: World | None = None) -> None:
        self._world = world

    def __enter__(self) -> Listener:
        said = Listener(0)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said.asked.append(self.path)
                self.send_response(said.status)
                if said.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self._world is not None:
            tls = self._world.directory / "tls" / self._world.authorities[0].name
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(f"{tls}.pem", f"{tls}.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        said.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return said

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


Run = Callable[..., Result]


def test_a_daemon_that_is_ready_says_so_with_what_is_to_come(cli: Run, listener: Listener) -> None:
    listener.say(READY)
    result = cli("health", "--url", listener.url)
    assert result.exit_code == 0
    assert result.stdout == "ready\n- warning: the certificate of voorbeeldstad ends in 20 days\n"
    assert listener.asked == ["/health/ready"]


def test_one_that_is_not_ready_says_why_and_ends_with_1(cli: Run, listener: Listener) -> None:
    listener.say(NOT_READY, 503)
    result = cli("health", "--url", listener.url)
    assert result.exit_code == 1
    assert result.stdout == "not ready\n- the database does not answer; see whether it runs\n"


def test_a_container_asks_only_whether_it_lives(cli: Run, listener: Listener) -> None:
    listener.say({"status": "live"})
    assert cli("health", "--live", "--url", f"{listener.url}/").exit_code == 0
    assert listener.asked == ["/health/live"]


@pytest.mark.parametrize(("document", "status", "code"), [(READY, 200, 0), (NOT_READY, 503, 1)])
def test_a_machine_gets_the_document_as_it_is(
    cli: Run, listener: Listener, document: object, status: int, code: int
) -> None:
    listener.say(document, status)
    result = cli("health", "--json", "--url", listener.url)
    assert (result.exit_code, json.loads(result.stdout)) == (code, document)


def test_without_a_url_the_configuration_says_where(
    cli: Run, made_once: World, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.say(READY)
    monkeypatch.setenv("STAM_ADAPTER__ADMIN__LISTEN", f"0.0.0.0:{listener.port}")
    assert cli("health", "--config", made_once.config).exit_code == 0


def test_a_wrong_configuration_does_not_make_a_daemon_unwell_that_is_asked_by_url(
    cli: Run, listener: Listener, tmp_path: Path
) -> None:
    wrong = tmp_path / "stam-adapter.toml"
    wrong.write_text("environment = ")
    listener.say(READY)
    assert cli("health", "--url", listener.url, "--config", wrong).exit_code == 0


def test_a_listener_with_tls_is_asked_over_tls(cli: Run, made_once: World) -> None:
    with serving(made_once) as listener:
        listener.say(READY)
        assert cli("health", "--url", f"https://127.0.0.1:{listener.port}").exit_code == 0


def test_no_proxy_is_asked_for_what_is_on_this_host(
    cli: Run, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    listener.say(READY)
    assert cli("health", "--url", listener.url).exit_code == 0


def test_where_nothing_listens_it_says_what_to_look_at(cli: Run) -> None:
    with serving() as gone:
        pass
    result = cli("health", "--url", gone.url)
    assert result.exit_code == 1
    assert "Connection refused" in result.stderr
    assert "does the daemon run" in result.stderr


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[]"), (200, b'{"status": 1}'), (404, b""), (302, b"")]
)
def test_another_server_at_that_address_is_not_taken_for_the_adapter(
    cli: Run, listener: Listener, status: int, body: bytes
) -> None:
    listener.status, listener.body = status, body
    result = cli("health", "--url", listener.url)
    assert result.exit_code == 1
    assert "is that the admin listener of the adapter?" in result.stderr
    assert listener.asked == ["/health/ready"]


def test_an_address_without_a_scheme_is_wrong_use(cli: Run) -> None:
    result = cli("health", "--url", "127.0.0.1:8080")
    assert result.exit_code == 2
    assert "write it as http://127.0.0.1:8080" in result.stderr
