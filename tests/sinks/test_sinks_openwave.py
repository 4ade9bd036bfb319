# SPDX-License-Identifier: EUPL-1.2

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from adapter.config import Environment
from adapter.delivery import (
    Delivered,
    Handover,
    HandoverFile,
    Permanent,
    Sink,
    SinkProblem,
    StepFailed,
    Temporary,
    make_sink,
)
from adapter.sinks import OPENWAVE, SINK_TYPES
from adapter.store import FileKind, Flow
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash, make_context, make_file, make_handover
from tests.sinks.receivers import Fault, OpenWave

NUMBER = "2023073100048"
XML = b'<?xml version="1.0"?><imam:verzoek xmlns:imam="urn:x"><doel>Initieren</doel></imam:verzoek>'


@pytest.fixture
async def receiver() -> AsyncIterator[OpenWave]:
    receiver = OpenWave()
    async with receiver.running():
        yield receiver


Open = Callable[..., Any]


@pytest.fixture
def opened(receiver: OpenWave, tmp_path: Path) -> Open:
    password = tmp_path / "password"
    password.write_text("geheim\n")

    @asynccontextmanager
    async def open_sink(**options: Any) -> AsyncIterator[Sink]:
        table = {
            "type": "openwave",
            "url": f"{receiver.url}/DSO/Verzoek/",
            "upload_url": f"{receiver.url}/upload.php",
            "basic": {"username": "stam", "password_file": str(password)},
            **options,
        }
        sink = make_sink(SINK_TYPES, "vth", table, make_context(tmp_path)).sink
        try:
            yield sink
        finally:
            await sink.close()

    return open_sink


@pytest.fixture
def handover() -> Handover:
    return make_handover(
        replace(make_file("verzoek.xml", XML), kind=FileKind.VERZOEK),
        replace(make_file("bijlagen/tekening.pdf", b"tekening"), kind=FileKind.DOCUMENT),
        replace(make_file("bijlagen/Verzoek.pdf", b"van de aanvrager"), kind=FileKind.DOCUMENT),
        replace(make_file("verzoek.pdf", b"%PDF-"), kind=FileKind.PDF),
    )


NAMES = ["verzoek.pdf", "tekening.pdf", "Verzoek-2.pdf"]


async def test_the_xml_goes_first_then_the_pdf_then_the_documents_each_under_a_name_of_its_own(
    receiver: OpenWave, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        outcome = await sink.deliver(handover, MemoryCheckpoint())
    assert outcome == Delivered(f"{receiver.url}/DSO/Verzoek/")
    assert receiver.received == ["xml", *NAMES]
    assert receiver.xml == [XML]
    assert receiver.documents == {
        f"{NUMBER}_verzoek.pdf": b"%PDF-",
        f"{NUMBER}_tekening.pdf": b"tekening",
        f"{NUMBER}_Verzoek-2.pdf": b"van de aanvrager",
    }


def later(handover: Handover, number: str, *files: HandoverFile) -> Handover:
    """A later message of the same verzoek, with these documents."""
    documents = tuple(replace(file, kind=FileKind.DOCUMENT) for file in files)
    return replace(handover, key=f"{NUMBER}-{number}", files=(handover.files[0], *documents))


async def test_a_later_message_takes_no_name_that_another_document_of_the_verzoek_has(
    receiver: OpenWave, opened: Open, handover: Handover
) -> None:
    old, new, double = (
        replace(make_file(f"bijlagen/{number}.pdf", content), bestandsnaam="tekening.pdf")
        for number, content in enumerate((b"tekening", b"nieuw", b"tekening"))
    )
    names = []
    remembered: Mapping[str, Any] = {}
    async with opened() as sink:
        for one in (
            handover,
            later(handover, "001", old),
            later(handover, "002", new),
            later(handover, "003", new, old, double),
        ):
            checkpoint = MemoryCheckpoint()
            checkpoint.earlier_steps.update(remembered)
            receiver.received.clear()
            await sink.deliver(one, checkpoint)
            names.append(receiver.received[1:])
            remembered = {**remembered, **checkpoint.steps}
    assert names == [
        NAMES,
        ["tekening.pdf"],
        ["tekening-2.pdf"],
        ["tekening-2.pdf", "tekening.pdf", "tekening-3.pdf"],
    ]
    assert receiver.documents[f"{NUMBER}_tekening.pdf"] == b"tekening"


async def test_a_document_keeps_its_name_in_every_attempt(
    receiver: OpenWave, opened: Open, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    receiver.faults = [Fault.NONE, Fault.NONE, Fault.REFUSED]
    async with opened() as sink:
        with pytest.raises(StepFailed):
            await sink.deliver(handover, checkpoint)
        other = MemoryCheckpoint()
        await sink.deliver(later(handover, "000", make_file("bijlagen/tekening.pdf", b"van een late")), other)
        checkpoint.earlier_steps.update(other.steps)
        await sink.deliver(handover, checkpoint)
    assert [name for name in receiver.received if name != "xml"] == [NAMES[0], "tekening.pdf", *NAMES[1:]]


@pytest.mark.parametrize("where", ["form", "query"])
async def test_the_parameters_of_an_upload_stand_where_the_receiver_wants_them(
    where: str, receiver: OpenWave, opened: Open
) -> None:
    handover = make_handover(
        replace(make_file("verzoek.xml", XML), kind=FileKind.VERZOEK),
        replace(make_file("bijlagen/é & a+b.pdf", b"x"), kind=FileKind.DOCUMENT),
    )
    async with opened(parameters=where) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    assert receiver.parameters == [(where, "é & a+b.pdf", NUMBER)]


async def test_the_pdf_can_be_left_out(receiver: OpenWave, opened: Open, handover: Handover) -> None:
    async with opened(pdf=False) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    assert receiver.received == ["xml", "tekening.pdf", "Verzoek.pdf"]


async def test_a_withdrawal_is_the_verzoek_itself(
    receiver: OpenWave, opened: Open, handover: Handover
) -> None:
    withdrawal = replace(handover, manifest={**handover.manifest, "doel": "Intrekken"})
    async with opened() as sink:
        await sink.deliver(withdrawal, MemoryCheckpoint())
    assert receiver.xml == [XML]


async def test_a_withdrawal_can_be_the_message_that_closes_the_case(
    receiver: OpenWave, opened: Open, handover: Handover
) -> None:
    withdrawal = replace(handover, manifest={**handover.manifest, "doel": "Intrekken"})
    async with opened(withdrawal="close") as sink:
        await sink.deliver(withdrawal, MemoryCheckpoint())
        await sink.deliver(handover, MemoryCheckpoint())
    closing, ordinary = receiver.xml
    assert [(child.tag, child.text) for child in etree.fromstring(closing)] == [
        ("oin", "00000099000000001000"),
        ("verzoeknummer", NUMBER),
        ("actie", "close"),
    ]
    assert ordinary == XML


async def test_a_notification_is_posted_as_it_was_received(
    receiver: OpenWave, opened: Open, handover: Handover
) -> None:
    octets = b"<triggerbericht/>"
    message = replace(handover, flow="message", files=(make_file("payloads/notificatie.xml", octets),))
    async with opened() as sink:
        assert isinstance(await sink.deliver(message, MemoryCheckpoint()), Delivered)
        two = replace(message, files=message.files * 2)
        assert await sink.deliver(two, MemoryCheckpoint()) == Permanent(
            "a message with 2 payloads cannot be posted; deliver it to a sink of another type"
        )
    assert receiver.xml == [octets]


async def test_what_is_not_recognised_is_final_and_nothing_follows_it(
    receiver: OpenWave, opened: Open, handover: Handover
) -> None:
    strange = replace(make_file("verzoek.xml", b"<onbekend/>"), kind=FileKind.VERZOEK)
    async with opened() as sink:
        with pytest.raises(StepFailed, match=r"verzoek\.xml: HTTP 400") as caught:
            await sink.deliver(replace(handover, files=(strange, *handover.files[1:])), MemoryCheckpoint())
    assert isinstance(caught.value.outcome, Permanent)
    assert receiver.received == []


POSTS = range(1 + len(NAMES))


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_a_post_that_failed_is_made_again_and_no_other(
    fault: Fault,
    post: int,
    receiver: OpenWave,
    opened: Open,
    handover: Handover,
    checkpoint: MemoryCheckpoint,
) -> None:
    receiver.faults = [Fault.NONE] * post + [fault]
    async with opened() as sink:
        with pytest.raises(StepFailed) as caught:
            await sink.deliver(handover, checkpoint)
        assert isinstance(caught.value.outcome, Temporary)
        assert await sink.deliver(handover, checkpoint) == Delivered(f"{receiver.url}/DSO/Verzoek/")
    whole = ["xml", *NAMES]
    done_twice = fault in {Fault.FAILED_AFTER, Fault.CUT_AFTER}
    assert receiver.received == [*whole[: post + 1], *whole[post if done_twice else post + 1 :]]
    assert [note for note, _ in checkpoint.notes] == ["possibly_repeated"]


async def test_a_post_that_was_refused_is_made_again_and_is_no_repeat(
    receiver: OpenWave, opened: Open, handover: Handover, checkpoint: MemoryCheckpoint, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("oud")
    async with opened() as sink:
        with pytest.raises(StepFailed, match="HTTP 401"):
            await sink.deliver(handover, checkpoint)
        (tmp_path / "password").write_text("geheim")
        await sink.deliver(handover, checkpoint)
    assert receiver.received == ["xml", *NAMES]
    assert checkpoint.notes == []


@pytest.mark.parametrize("moment", ["before_set", "after_set"])
@pytest.mark.parametrize("number", range(2 * len(POSTS) + 1))
async def test_a_crash_at_any_checkpoint_repeats_at_most_one_post_and_then_says_so(
    moment: str,
    number: int,
    receiver: OpenWave,
    opened: Open,
    handover: Handover,
    checkpoint: MemoryCheckpoint,
) -> None:
    passed = 0

    def crash() -> None:
        nonlocal passed
        passed += 1
        if passed == number + 1:
            raise SimulatedCrash

    setattr(checkpoint, moment, crash)
    async with opened() as sink:
        with pytest.raises(SimulatedCrash):
            await sink.deliver(handover, checkpoint)
    async with opened() as sink:
        await sink.deliver(replace(handover, attempt=2), checkpoint)
    times = Counter(receiver.received)
    repeats = sum(times.values()) - len(times)
    assert set(times) == {"xml", *NAMES}
    # Each post is remembered twice, when it begins and when it ended; between the first and the others the names are.
    # What a post came to was lost only where the crash came before that was remembered.
    ends = {1, *range(4, 2 * len(POSTS) + 1, 2)}
    assert repeats == (1 if moment == "before_set" and number in ends else 0)
    assert len(checkpoint.notes) >= repeats


async def test_a_probe_changes_nothing_and_tells_a_wrong_password(
    receiver: OpenWave, opened: Open, tmp_path: Path
) -> None:
    async with opened() as sink:
        await sink.probe()
        (tmp_path / "password").write_text("anders")
        with pytest.raises(SinkProblem, match=r"url: .* answers 401 Unauthorized"):
            await sink.probe()
        (tmp_path / "password").unlink()
        with pytest.raises(SinkProblem, match=r"basic\.password_file: .* cannot be read"):
            await sink.probe()
    assert receiver.received == []


def test_it_takes_both_flows() -> None:
    assert OPENWAVE.flows == {Flow.STAM, Flow.MESSAGE}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"basic": {"username": "stam"}}, "basic.password_file: is missing; add it"),
        (
            {"upload_url": "http://vth.example/upload", "plain": False},
            "upload_url: plain HTTP shows personal data",
        ),
        ({"withdrawal": "delete"}, "withdrawal: "),
        ({"pdfs": True}, "pdfs: unknown key; did you mean `pdf`?"),
    ],
)
def test_an_option_that_is_wrong_is_said_with_its_fix(
    options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    table = {
        "type": "openwave",
        "url": "https://vth.example/DSO/Verzoek/",
        "upload_url": "https://vth.example/upload",
        "basic": {"username": "stam", "password_file": "p"},
        **options,
    }
    context = make_context(tmp_path, environment=Environment.PRE)
    with pytest.raises(SinkProblem) as caught:
        make_sink(SINK_TYPES, "vth", table, context)
    assert problem in str(caught.value)
