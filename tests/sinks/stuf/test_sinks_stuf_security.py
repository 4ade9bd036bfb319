# SPDX-License-Identifier: EUPL-1.2

import asyncio
import io
import logging
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from adapter.delivery import ContentDamaged, Delivered, HandoverFile, Permanent, SinkProblem, Temporary
from adapter.observe import configure_logs
from adapter.sinks.soap import FileRequest
from adapter.sinks.stuf.security import UsernameToken
from adapter.store import FileKind
from tests.memory import measured_peak
from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.receivers import FaultyReceiver
from tests.sinks.soap_messages import confirmation, soap_answer
from tests.sinks.stuf.deliveries import DRAWING, MakeSink, a_delivery, a_file, attempt, make
from tests.sinks.stuf.zaaksysteem import Zaaksysteem
from tests.verzoek.berichten import bericht

SECRET = "geheim-woord"


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.mark.parametrize("digest", [True, False])
@pytest.mark.parametrize("soap", ["1.1", "1.2"])
async def test_every_message_says_who_we_are(
    system: Zaaksysteem,
    a_sink: MakeSink,
    checkpoint: MemoryCheckpoint,
    password_file: Path,
    soap: str,
    *,
    digest: bool,
) -> None:
    system.user = ("adapter", SECRET)
    system.speak(soap)
    wss = {"username": "adapter", "password_file": str(password_file), "digest": digest}
    sink = a_sink(wss=wss, soap=soap, real_clock=True)
    assert isinstance(await attempt(sink, a_delivery(), checkpoint), Delivered)
    assert all((SECRET.encode() not in body) is digest for body in system.bodies)


async def test_another_password_is_refused(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, password_file: Path
) -> None:
    system.user = ("adapter", "iets anders")
    sink = a_sink(wss={"username": "adapter", "password_file": str(password_file)}, real_clock=True)
    assert isinstance(await attempt(sink, a_delivery(), checkpoint), Permanent)


async def test_a_password_that_went_away_is_told_and_tried_again(
    a_sink: MakeSink, checkpoint: MemoryCheckpoint, password_file: Path
) -> None:
    sink = a_sink(wss={"username": "adapter", "password_file": str(password_file)})
    await asyncio.to_thread(password_file.unlink)
    outcome = await attempt(sink, a_delivery(), checkpoint)
    assert isinstance(outcome, Temporary)
    assert outcome.reason.startswith("wss.password_file: ")


@pytest.mark.parametrize("where", ["wss", "basic"])
async def test_a_password_that_is_not_there_is_told_before_anything_is_delivered(
    a_sink: MakeSink, tmp_path: Path, where: str
) -> None:
    with pytest.raises(SinkProblem, match=rf"{where}\.password_file: .* cannot be read"):
        a_sink(**{where: {"username": "adapter", "password_file": str(tmp_path / "none")}})


async def test_basic_authentication_goes_with_messages_and_probes(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, password_file: Path
) -> None:
    sink = a_sink(basic={"username": "adapter", "password_file": str(password_file)})
    await attempt(sink, a_delivery(), checkpoint)
    await sink.probe()
    assert len(set(system.authorizations)) == 1
    assert system.authorizations[0].startswith("Basic ")


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_a_probe_tells_that_we_are_not_let_in(
    system: Zaaksysteem, a_sink: MakeSink, status: int
) -> None:
    system.status = status
    with pytest.raises(SinkProblem, match=f"ontvang_asynchroon: .* answers {status} ") as told:
        await a_sink().probe()
    assert len(told.value.problems) == 2


@pytest.mark.parametrize("status", [404, 405, 500])
async def test_a_service_that_knows_no_get_is_there_all_the_same(
    system: Zaaksysteem, a_sink: MakeSink, status: int
) -> None:
    system.status = status
    await a_sink().probe()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


async def test_no_log_and_no_reason_has_a_secret_or_a_number_of_a_person(
    system: Zaaksysteem,
    a_sink: MakeSink,
    checkpoint: MemoryCheckpoint,
    password_file: Path,
    lines: io.StringIO,
) -> None:
    person = "<initiatiefnemer><natuurlijkPersoon><burgerservicenummer>123456782</burgerservicenummer>"
    xml = bericht(f"{person}</natuurlijkPersoon></initiatiefnemer>")
    configure_logs(stream=lines, level="debug")
    system.refusals["creeerZaak_Lk01"] = ["StUF055", "StUF016"]
    system.details = "123456782"
    sink = a_sink(basic={"username": "adapter", "password_file": str(password_file)})
    outcomes = [await attempt(sink, a_delivery(xml=xml), checkpoint) for _ in range(2)]
    assert b"123456782" in b"".join(system.bodies)
    for text in (lines.getvalue(), repr(outcomes), repr(checkpoint.steps)):
        assert "123456782" not in text
        assert SECRET not in text


def test_the_password_is_not_shown() -> None:
    assert SECRET not in repr(UsernameToken("adapter", SECRET))


def test_what_is_sent_is_not_shown() -> None:
    file = a_file("bijlagen/a", b"a", FileKind.DOCUMENT)
    assert SECRET not in repr(FileRequest(SECRET.encode(), file, SECRET.encode()))


class Counting(FaultyReceiver):
    """Confirms what it is sent, counts its octets, and keeps none."""

    def __init__(self) -> None:
        super().__init__()
        self.octets: list[int] = []

    async def do(self, request: web.Request) -> web.Response:
        head, count = b"", 0
        async for chunk in request.content.iter_any():
            head = (head + chunk)[:20_000]
            count += len(chunk)
        assert count == request.content_length
        self.octets.append(count)
        number = re.search(rb"<StUF:referentienummer>(.*?)<", head)
        assert number is not None
        return web.Response(
            body=soap_answer(confirmation("Bv03", number[1].decode())), content_type="text/xml"
        )


async def test_a_large_document_is_never_in_memory(checkpoint: MemoryCheckpoint) -> None:
    size, chunk = 64 * 1024 * 1024, b"x" * 65_536

    async def read() -> AsyncGenerator[bytes, None]:
        for _ in range(size // len(chunk)):
            yield chunk

    small = a_file("bijlagen/groot.bin", b"", FileKind.DOCUMENT, document_id="groot")
    large = replace(small, size=size, open=read)
    handover = a_delivery(DRAWING)
    handover = replace(handover, files=(handover.files[0], large))
    receiver = Counting()
    async with receiver.running():
        system = Zaaksysteem()
        system.url = receiver.url
        sink = make(system, identificatie="own", gemeentecode="0363", max_document="100 MiB")
        with measured_peak() as peak:
            assert isinstance(await attempt(sink, handover, checkpoint), Delivered)
        await sink.close()
    assert receiver.octets[-1] > size * 4 // 3
    assert peak.octets < 8 * 1024 * 1024


async def test_content_that_turns_out_damaged_delivers_nothing_of_it(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover = a_delivery(DRAWING)
    *others, drawing = handover.files

    async def read() -> AsyncGenerator[bytes, None]:
        yield b"half"
        raise ContentDamaged("not what was stored")

    damaged: HandoverFile = replace(drawing, open=read)
    outcome = await attempt(a_sink(), replace(handover, files=(*others, damaged)), checkpoint)
    assert isinstance(outcome, Temporary)  # what became of the reading is looked at by who made it
    assert drawing.sha256 not in {one.sha256 for one in system.documents.values()}
