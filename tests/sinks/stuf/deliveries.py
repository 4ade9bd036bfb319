# SPDX-License-Identifier: EUPL-1.2

"""What the tests of the stuf-zds sink deliver, and how."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from adapter.delivery import Handover, HandoverFile, Outcome, Sink, StepFailed, make_sink
from adapter.simulator import DocumentSpec, VerzoekSpec, make_verzoek
from adapter.sinks import SINK_TYPES
from adapter.store import FileKind
from adapter.work import utc_now
from tests.sinks.handovers import MemoryCheckpoint, make_context, make_file, make_handover
from tests.sinks.stuf.zaaksysteem import Zaaksysteem

NUMBER = "2023073100048"
GEMEENTE = "00000099000000001000"
DRAWING = DocumentSpec("tekening.pdf", 1000, vertrouwelijk=True)
LETTER = DocumentSpec("brief.doc", 500, "application/msword")


def table(system: Zaaksysteem, **changes: Any) -> dict[str, Any]:
    """The table of a sink that leads to a zaaksysteem."""
    return {
        "type": "stuf-zds",
        "vrije_berichten": f"{system.url}/vrij",
        "ontvang_asynchroon": f"{system.url}/asynchroon",
        "zender": {"organisatie": "0363", "applicatie": "STAM"},
        "ontvanger": {"organisatie": "0363", "applicatie": "ZS", "administratie": "productie"},
        "documenttypen": {"verzoek": "Aanvraag", "pdf": "Samenvatting", "document": "Bijlage"},
        "zaaktypen": [
            {"doel": "Conceptverzoek", "zaaktype": {"code": "B2", "omschrijving": "Vooroverleg"}},
            {
                "zaaktype": {"code": "B1", "omschrijving": "Aanvraag behandelen"},
                "status": {"code": "1"},
                "status_aanvullen": {"code": "2"},
                "status_intrekken": {"code": "9", "omschrijving": "Ingetrokken"},
            },
        ],
        **changes,
    }


MakeSink = Callable[..., Sink]


class Clock:
    """A clock that is a second later each time it is looked at."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def make(system: Zaaksysteem, *, real_clock: bool = False, **changes: Any) -> Sink:
    """A sink that leads to a zaaksysteem."""
    context = make_context(Path("/"), clock=utc_now if real_clock else Clock())
    return make_sink(SINK_TYPES, "zaken", table(system, **changes), context).sink


def a_file(path: str, content: bytes, kind: FileKind, **changes: Any) -> HandoverFile:
    return replace(make_file(path, content), kind=kind, **changes)


def a_delivery(*documents: DocumentSpec, xml: bytes | None = None, **changes: Any) -> Handover:
    """A verzoek with everything DSO-LV has of it."""
    spec = VerzoekSpec(NUMBER, GEMEENTE, documents=documents or (DRAWING, LETTER), **changes)
    verzoek = make_verzoek(spec)
    files = [
        a_file("verzoek.xml", xml or verzoek.xml, FileKind.VERZOEK, content_type="application/xml"),
        a_file("verzoek.pdf", verzoek.pdf, FileKind.PDF, content_type="application/pdf"),
    ]
    for document in verzoek.documents:
        path = f"bijlagen/{document.spec.bestandsnaam}"
        files.append(
            a_file(
                path,
                b"".join(document.content.blocks()),
                FileKind.DOCUMENT,
                content_type=document.spec.content_type,
                bestandsnaam=document.spec.bestandsnaam,
                document_id=document.document_id,
                vertrouwelijk=document.spec.vertrouwelijk,
            )
        )
    handover = make_handover(*files, key=f"{NUMBER}-{spec.volgnummer}")
    return replace(handover, volgnummer=spec.volgnummer)


async def attempt(sink: Sink, handover: Handover, checkpoint: MemoryCheckpoint) -> Outcome:
    """One attempt, as the adapter makes it."""
    try:
        return await sink.deliver(handover, checkpoint)
    except StepFailed as failure:
        return failure.outcome


def after(*checkpoints: MemoryCheckpoint) -> MemoryCheckpoint:
    """The checkpoint of a delivery that comes after others of its verzoek."""
    later = MemoryCheckpoint()
    for one in checkpoints:
        later.earlier_steps |= one.steps
    return later
