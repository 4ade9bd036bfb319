# SPDX-License-Identifier: EUPL-1.2

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from adapter.delivery import ContentDamaged, Handover, Permanent, StepFailed
from adapter.simulator import VerzoekSpec, make_verzoek
from adapter.sinks.verzoek import MAX_VERZOEK, verzoek_of
from adapter.store import FileKind
from tests.sinks.handovers import make_file, make_handover


def with_verzoek(content: bytes) -> Handover:
    return make_handover(
        make_file("verzoek.pdf", b"%PDF-"), replace(make_file("verzoek.xml", content), kind=FileKind.VERZOEK)
    )


async def refused(handover: Handover) -> str:
    with pytest.raises(StepFailed) as failed:
        await verzoek_of(handover)
    assert isinstance(failed.value.outcome, Permanent)
    return failed.value.outcome.reason


async def test_the_verzoekbericht_among_the_files_is_read() -> None:
    xml = make_verzoek(VerzoekSpec("2023073100048", "00000099000000001000")).xml
    assert (await verzoek_of(with_verzoek(xml))).verzoeknummer == "2023073100048"


async def test_a_delivery_without_one_cannot_be_understood(handover: Handover) -> None:
    assert "takes verzoeken only" in await refused(handover)


async def test_what_is_no_verzoekbericht_is_refused_with_its_name() -> None:
    assert (await refused(with_verzoek(b"<verzoek/>"))).startswith("verzoek.xml: ")


async def test_one_that_is_too_large_is_not_read() -> None:
    handover = with_verzoek(b"")
    huge = replace(handover.files[1], size=MAX_VERZOEK + 1, open=unreadable)
    assert str(MAX_VERZOEK) in await refused(replace(handover, files=(huge,)))


async def unreadable() -> AsyncGenerator[bytes, None]:
    raise ContentDamaged("must not be read")
    yield b""


async def test_content_that_is_damaged_stays_damaged() -> None:
    handover = with_verzoek(b"")
    damaged = replace(handover.files[1], open=unreadable)
    with pytest.raises(ContentDamaged):
        await verzoek_of(replace(handover, files=(damaged,)))
