# SPDX-License-Identifier: EUPL-1.2

import base64
import hashlib
import json
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapter.delivery import (
    ContentDamaged,
    Delivered,
    Handover,
    Permanent,
    Sink,
    SinkProblem,
    StepFailed,
    Temporary,
    make_sink,
)
from adapter.pki import ThrowawayPki, TrustStore, server_context
from adapter.sinks import SINK_TYPES
from tests.memory import measured_peak
from tests.sinks.handovers import MemoryCheckpoint, damaged, make_context, make_file, make_handover
from tests.sinks.receivers import Fault, HttpReceiver

DOCUMENT = Path(__file__).parents[2] / "docs" / "sinks.md"
KEY = '"voorbeeldstad/archief/2023073100048-000"'
MiB = 1024 * 1024


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    receiver = HttpReceiver()
    async with receiver.running():
        yield receiver


Open = Callable[..., Any]


@pytest.fixture
def opened(receiver: HttpReceiver, tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_sink(**options: Any) -> AsyncIterator[Sink]:
        table = {"type": "http", "url": f"{receiver.url}/verzoeken?tenant=geheim", **options}
        sink = make_sink(SINK_TYPES, "vth", table, make_context(tmp_path)).sink
        try:
            yield sink
        finally:
            await sink.close()

    return open_sink


def secret(tmp_path: Path, text: str = "s3cr3t-of-this-test") -> str:
    path = tmp_path / "secret"
    path.write_text(f"{text}\n")
    return str(path)


async def failed(sink: Sink, handover: Handover) -> Temporary | Permanent:
    with pytest.raises(StepFailed) as caught:
        await sink.deliver(handover, MemoryCheckpoint())
    return caught.value.outcome


async def test_a_delivery_is_one_request_with_the_manifest_and_then_every_file(
    receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        assert await sink.deliver(handover, MemoryCheckpoint()) == Delivered(f"{receiver.url}/verzoeken")
    (delivery,) = receiver.deliveries.values()
    assert json.loads(delivery.manifest) == handover.manifest
    assert [(one.name, one.filename, one.size, one.sha256) for one in delivery.files] == [
        ("file", file.path, file.size, file.sha256) for file in handover.files
    ]


async def test_the_key_names_authority_sink_and_delivery(
    receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        await sink.deliver(replace(handover, key='bér"icht%'), MemoryCheckpoint())
    assert list(receiver.deliveries) == [KEY, '"voorbeeldstad/archief/b%C3%A9r%22icht%25"']


async def test_a_message_goes_as_a_verzoek_does(
    receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    message = replace(handover, flow="message", key="m-1@dso", verzoeknummer=None, volgnummer=None)
    async with opened() as sink:
        assert isinstance(await sink.deliver(message, MemoryCheckpoint()), Delivered)
    assert list(receiver.deliveries) == ['"voorbeeldstad/archief/m-1@dso"']


async def test_where_the_receiver_says_it_is_becomes_the_reference(
    receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    receiver.location = "/verzoeken/17"
    async with opened() as sink:
        assert await sink.deliver(handover, MemoryCheckpoint()) == Delivered("/verzoeken/17")


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_whatever_goes_wrong_the_receiver_has_it_once(
    fault: Fault, receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    receiver.faults = [fault, fault]
    async with opened() as sink:
        assert isinstance(await failed(sink, handover), Temporary)
        assert isinstance(await failed(sink, handover), Temporary)
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)
    assert list(receiver.deliveries) == [KEY]


async def test_after_a_crash_before_it_was_recorded_it_is_recognised(
    receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    async with opened() as sink:
        assert isinstance(await sink.deliver(replace(handover, attempt=2), MemoryCheckpoint()), Delivered)
    assert list(receiver.deliveries) == [KEY]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Permanent), (413, Permanent), (429, Temporary), (502, Temporary)]
)
async def test_a_refusal_is_final_unless_waiting_can_help(
    status: int, kind: type, receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    receiver.statuses = [status]
    async with opened() as sink:
        outcome = await failed(sink, handover)
    assert isinstance(outcome, kind)
    assert f"/verzoeken: HTTP {status}" in outcome.reason
    assert "geheim" not in outcome.reason


async def test_a_damaged_file_never_arrives_whole(receiver: HttpReceiver, opened: Open) -> None:
    last = damaged(make_file("bijlagen/brief.pdf", b"x" * 100))
    async with opened() as sink:
        with pytest.raises(ContentDamaged):
            await sink.deliver(make_handover(make_file("verzoek.xml", b"<v/>"), last), MemoryCheckpoint())
    assert receiver.deliveries == {}


async def test_an_answer_of_success_before_everything_was_sent_does_not_count(
    receiver: HttpReceiver, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer_at_once(request: web.Request) -> web.Response:
        return web.Response(status=200)

    monkeypatch.setattr(receiver, "do", answer_at_once)
    async with opened() as sink:
        outcome = await failed(sink, make_handover(make_file("groot.bin", bytes(32 * MiB), 65536)))
    assert isinstance(outcome, Temporary)


async def test_a_key_that_is_known_may_be_refused_before_everything_was_sent(
    receiver: HttpReceiver, opened: Open, handover: Handover
) -> None:
    large = make_handover(make_file("groot.bin", bytes(32 * MiB), 65536))
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        assert isinstance(await sink.deliver(large, MemoryCheckpoint()), Delivered)
        other = replace(handover, key="2023073100048-001")
        assert isinstance(await sink.deliver(other, MemoryCheckpoint()), Delivered)
    assert len(receiver.deliveries) == 2


async def test_a_large_file_passes_in_little_memory(receiver: HttpReceiver, opened: Open) -> None:
    size = 128 * MiB
    chunk = bytes(256 * 1024)
    digest = hashlib.sha256()
    for _ in range(size // len(chunk)):
        digest.update(chunk)

    async def read() -> AsyncGenerator[bytes, None]:
        for _ in range(size // len(chunk)):
            yield chunk

    large = replace(make_file("groot.tif", b""), size=size, sha256=digest.hexdigest(), open=read)
    async with opened() as sink:
        with measured_peak() as peak:
            await sink.deliver(make_handover(large), MemoryCheckpoint())
    assert receiver.deliveries[KEY].files[0].sha256 == large.sha256
    assert peak.octets < 8 * MiB


async def test_names_and_types_from_outside_stay_within_their_headers(
    receiver: HttpReceiver, opened: Open
) -> None:
    odd = replace(make_file('bijlagen/é "a"\r\nX-Evil: 1.pdf', b"x"), content_type="text/plain\r\nX-Evil: 1")
    typed = replace(make_file("bijlagen/b.xml", b"x"), content_type='text/xml; charset="utf-8"')
    async with opened() as sink:
        await sink.deliver(make_handover(odd, typed), MemoryCheckpoint())
    first, second = receiver.deliveries[KEY].files
    assert first.filename == "bijlagen/é %22a%22%0D%0AX-Evil: 1.pdf"
    assert (first.content_type, second.content_type) == (
        "application/octet-stream",
        'text/xml; charset="utf-8"',
    )


async def test_basic_authentication(
    receiver: HttpReceiver, opened: Open, handover: Handover, tmp_path: Path
) -> None:
    receiver.authorization = "Basic " + base64.b64encode("stam:gehéim".encode()).decode()
    basic = {"username": "stam", "password_file": secret(tmp_path, "gehéim")}
    async with opened(basic=basic) as sink:
        await sink.probe()
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)


async def test_a_bearer_token_that_was_replaced_counts_at_once(
    receiver: HttpReceiver, opened: Open, handover: Handover, tmp_path: Path
) -> None:
    receiver.authorization = "Bearer nieuw"
    async with opened(bearer={"token_file": secret(tmp_path, "oud")}) as sink:
        assert "HTTP 401" in (await failed(sink, handover)).reason
        secret(tmp_path, "nieuw")
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)


async def test_a_token_can_go_alone_in_another_header_and_fixed_headers_go_along(
    receiver: HttpReceiver, opened: Open, handover: Handover, tmp_path: Path
) -> None:
    bearer = {"token_file": secret(tmp_path, "sleutel"), "header": "X-API-Key", "scheme": ""}
    async with opened(bearer=bearer, headers={"X-Tenant": "voorbeeldstad"}) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    headers = receiver.deliveries[KEY].headers
    assert (headers["X-API-Key"], headers["X-Tenant"]) == ("sleutel", "voorbeeldstad")


@dataclass(frozen=True)
class Tls:
    """What a receiver that asks for a certificate has, and what it knows us by."""

    pki: ThrowawayPki
    directory: Path

    def server(self) -> ssl.SSLContext:
        pair = self.pki.issue("localhost", "00000001001100415000").key_pair(self.directory, "server")
        return server_context(pair, TrustStore([self.pki.root]))

    def options(self) -> dict[str, str]:
        self.pki.issue("Client", "00000099000000001000").write(self.directory, "client")
        roots = self.directory / "roots.pem"
        self.pki.root_pem(roots)
        client = {
            "certificate": str(self.directory / "client.pem"),
            "key": str(self.directory / "client.key"),
        }
        return {"roots": str(roots), **client}


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(ThrowawayPki(), tmp_path)


async def test_it_identifies_itself_with_its_certificate_over_tls(
    tls: Tls, opened: Open, handover: Handover
) -> None:
    receiver = HttpReceiver()
    async with (
        receiver.running(tls.server()),
        opened(url=f"{receiver.url}/verzoeken", **tls.options()) as sink,
    ):
        await sink.probe()
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)
    assert list(receiver.deliveries) == [KEY]


async def test_without_a_certificate_that_is_asked_for_nothing_is_delivered(
    tls: Tls, opened: Open, handover: Handover
) -> None:
    receiver, roots = HttpReceiver(), tls.options()["roots"]
    async with receiver.running(tls.server()), opened(url=f"{receiver.url}/verzoeken", roots=roots) as sink:
        assert isinstance(await failed(sink, handover), Temporary)
    assert receiver.deliveries == {}


def verifier() -> Callable[..., bool]:
    """The example of the document, as a receiver would take it over."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (source,) = [block for block in blocks if "def is_signed" in block]
    names: dict[str, Any] = {}
    exec(source, names)
    found = names["is_signed"]
    assert callable(found)
    return found  # type: ignore[no-any-return]


async def test_a_signature_can_be_verified_as_the_document_says(
    receiver: HttpReceiver, opened: Open, handover: Handover, tmp_path: Path
) -> None:
    async with opened(hmac={"secret_file": secret(tmp_path)}) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    delivery = receiver.deliveries[KEY]
    signature, key = delivery.headers["X-Signature"], delivery.headers["Idempotency-Key"]
    is_signed, shared = verifier(), b"s3cr3t-of-this-test"
    assert is_signed(shared, signature, key, delivery.manifest)
    assert not is_signed(b"another", signature, key, delivery.manifest)
    assert not is_signed(shared, signature, key, delivery.manifest + b" ")
    assert not is_signed(shared, signature, '"voorbeeldstad/archief/other"', delivery.manifest)
    late = re.sub(r"t=\d+", f"t={int(time.time()) - 3600}", signature)
    assert not is_signed(shared, late, key, delivery.manifest)


async def test_a_secret_that_is_gone_is_said_and_nothing_is_sent(
    receiver: HttpReceiver, opened: Open, handover: Handover, tmp_path: Path
) -> None:
    async with opened(hmac={"secret_file": secret(tmp_path)}) as sink:
        (tmp_path / "secret").unlink()
        outcome = await failed(sink, handover)
        with pytest.raises(SinkProblem, match=r"hmac\.secret_file: .* cannot be read"):
            await sink.probe()
    assert isinstance(outcome, Temporary)
    assert "hmac.secret_file" in outcome.reason
    assert receiver.deliveries == {}


@pytest.mark.parametrize("content", ["", "two\nlines", "a\x00b"])
async def test_a_secret_is_one_line_and_never_in_an_error(
    content: str, opened: Open, handover: Handover, tmp_path: Path
) -> None:
    async with opened(bearer={"token_file": secret(tmp_path)}) as sink:
        secret(tmp_path, content)
        outcome = await failed(sink, handover)
    assert "write the secret into it" in outcome.reason
    assert not content or content not in outcome.reason


def test_every_secret_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    table = {
        "type": "http",
        "url": "https://vth.example/",
        "form": "manifest",
        "links": {"url": "https://adapter.example", "secret_file": "a"},
        "hmac": {"secret_file": "b"},
    }
    with pytest.raises(SinkProblem) as caught:
        make_sink(SINK_TYPES, "vth", table, make_context(tmp_path))
    assert [line.split(": ")[1] for line in caught.value.problems] == [
        "hmac.secret_file",
        "links.secret_file",
    ]


async def test_a_probe_cannot_tell_whether_a_signature_would_be_accepted(
    receiver: HttpReceiver, opened: Open, tmp_path: Path
) -> None:
    receiver.authorization = "only what is signed"
    async with opened(hmac={"secret_file": secret(tmp_path)}) as sink:
        await sink.probe()


async def test_a_probe_tells_what_is_wrong_at_the_other_side(
    receiver: HttpReceiver, opened: Open, handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = [405, 404, 503]

    async def answer(request: web.Request) -> web.Response:
        assert request.method == "OPTIONS"
        return web.Response(status=statuses.pop(0))

    async with opened() as sink:
        receiver.authorization = "Bearer other"
        with pytest.raises(SinkProblem, match="correct what this sink identifies itself with"):
            await sink.probe()
        monkeypatch.setattr(receiver, "do", answer)
        await sink.probe()
        with pytest.raises(SinkProblem, match="404 Not Found; correct the address"):
            await sink.probe()
        with pytest.raises(SinkProblem, match="look at the other side"):
            await sink.probe()
    assert receiver.deliveries == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "ftp://host/"}, "url: 'ftp://host/' is not the address of a server"),
        ({"headers": {"Content-Length": "1"}}, "header Content-Length is set by the adapter itself"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers.X-A: is not the value of a header"),
        ({"headers": {"X A": "a"}}, "'X A' is not the name of a header"),
        ({"headers": {"authorization": "Bearer x"}, "bearer": {"token_file": "t"}}, "would be sent twice"),
        (
            {"basic": {"username": "a", "password_file": "p"}, "bearer": {"token_file": "t"}},
            "Authorization would be sent twice",
        ),
        ({"basic": {"username": "a:b", "password_file": "p"}}, "basic.username: is no user name"),
        ({"hmac": {"secret": "x"}}, "hmac.secret_file: is missing; add it"),
        ({"form": "manifest"}, 'form = "manifest" and links go together'),
        (
            {"form": "manifest", "links": {"url": "adapter", "secret_file": "s"}},
            "links.url: 'adapter' is not the address of a server",
        ),
    ],
)
def test_an_option_that_is_wrong_is_said_with_its_fix(
    options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    table = {"type": "http", "url": "https://vth.example/verzoeken", **options}
    with pytest.raises(SinkProblem) as caught:
        make_sink(SINK_TYPES, "vth", table, make_context(tmp_path))
    assert problem in str(caught.value)
