# SPDX-License-Identifier: EUPL-1.2

"""A municipality at a ZGW server: its types, the sink that delivers there, and verzoeken as they are handed over."""

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapter.delivery import (
    Delivered,
    Handover,
    HandoverFile,
    Outcome,
    Permanent,
    SinkContext,
    StepFailed,
    make_sink,
)
from adapter.simulator import GeneratedContent, SimulatedVerzoek
from adapter.sinks.zgw import ZGW, ZgwSink
from adapter.store import FileKind
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash, make_context
from tests.sinks.zgw.fake import CLIENT_ID, SECRET, FakeZgw

RSIN = "123456782"
OIN = "00000099000000001000"
NUMBER = "2023073100048"
TYPES = ("Aanvraag", "Publiceerbaar verzoek", "Bijlage", "Tekening")


def furnish(fake: FakeZgw) -> None:
    """The catalogus of the municipality, with an old version, a concept and a type that belongs to nothing."""
    types = fake.types
    catalogus = types.add("catalogussen", domein="OMGEV", rsin=RSIN)
    types.add("catalogussen", domein="ANDER", rsin=RSIN)
    valid = {"beginGeldigheid": "2024-01-01", "eindeGeldigheid": None, "concept": False}
    old = {"beginGeldigheid": "2020-01-01", "eindeGeldigheid": "2024-01-01", "concept": False}

    def informatieobjecttype(name: str, **version: Any) -> dict[str, Any]:
        fields = {"omschrijving": name, "vertrouwelijkheidaanduiding": "openbaar", **version}
        return types.add("informatieobjecttypen", catalogus=catalogus, **fields)

    informatieobjecttype("Tekening", **old)
    loose = informatieobjecttype("Los", **valid)
    assert loose
    belonging = [informatieobjecttype(name, **valid) for name in TYPES]

    def zaaktype(name: str, **version: Any) -> dict[str, Any]:
        made = types.add(
            "zaaktypen",
            identificatie=name,
            catalogus=catalogus,
            vertrouwelijkheidaanduiding="zaakvertrouwelijk",
            informatieobjecttypen=belonging,
            **version,
        )
        for number, status in ((2, "In behandeling"), (1, "Ontvangen"), (3, "Aangevuld"), (4, "Ingetrokken")):
            fields = {"omschrijving": status, "volgnummer": number, "isEindstatus": False}
            types.add("statustypen", zaaktype=made, **fields)
        types.add("statustypen", zaaktype=made, omschrijving="Afgehandeld", volgnummer=9, isEindstatus=True)
        for rol, generic in (("Aanvrager", "initiator"), ("Gemachtigde", "belanghebbende")):
            types.add("roltypen", zaaktype=made, omschrijving=rol, omschrijvingGeneriek=generic)
        return made

    zaaktype("OMG-AANVRAAG", **old)
    zaaktype("OMG-AANVRAAG", **valid)
    zaaktype("OMG-OVERLEG", **valid)
    zaaktype("OMG-CONCEPT", **{**valid, "concept": True})


def table(fake: FakeZgw, tmp_path: Path, **changes: Any) -> dict[str, Any]:
    """The table of a sink in the configuration."""
    secret = tmp_path / "zgw.secret"
    if not secret.exists():
        secret.write_text(f"{SECRET}\n")
    return {
        "type": "zgw",
        **{api: f"{fake.address}/{api}/api/v1" for api in ("zaken", "documenten", "catalogi")},
        "client_id": CLIENT_ID,
        "secret_file": str(secret),
        "bronorganisatie": RSIN,
        "catalogus": {"domein": "OMGEV", "rsin": RSIN},
        "rollen": {"initiatiefnemer": "initiator", "gemachtigde": "Gemachtigde"},
        "informatieobjecttypen": {
            "verzoek": "Aanvraag",
            "pdf": "Publiceerbaar verzoek",
            "document": "Bijlage",
            "soorten": {"tekening": "Tekening"},
        },
        "zaaktypen": [
            {"doel": "Conceptverzoek", "zaaktype": "OMG-OVERLEG"},
            {"zaaktype": "OMG-AANVRAAG", "status_aanvullen": "Aangevuld", "status_intrekken": "Ingetrokken"},
        ],
        **changes,
    }


def sink_of(raw: dict[str, Any], **context: Any) -> ZgwSink:
    """The sink of a table."""
    made = make_sink((ZGW,), "zaken", raw, context_of(**context)).sink
    assert isinstance(made, ZgwSink)
    return made


def context_of(**changes: Any) -> SinkContext:
    """Whose sink it is."""
    return make_context(Path("/"), **{"oin": OIN, **changes})


def stored(path: str, blocks: Callable[[], Iterator[bytes]], kind: FileKind, **facts: Any) -> HandoverFile:
    """A file as the store hands it over."""
    digest, size = hashlib.sha256(), 0
    for block in blocks():
        digest.update(block)
        size += len(block)

    async def read() -> AsyncGenerator[bytes, None]:
        for block in blocks():
            yield block

    known = {"content_type": None, "bestandsnaam": None, "document_id": None, "vertrouwelijk": None, **facts}
    return HandoverFile(path=path, size=size, sha256=digest.hexdigest(), open=read, kind=kind, **known)


def generated(path: str, size: int, document_id: str = "d" * 64) -> HandoverFile:
    """A document of some size."""
    content = GeneratedContent(document_id, size)
    return stored(path, content.blocks, FileKind.DOCUMENT, document_id=document_id, bestandsnaam=path)


def handed_over(verzoek: SimulatedVerzoek, *more: HandoverFile, **manifest: Any) -> Handover:
    """A verzoek as its sink is handed it: verzoekbericht, PDF, its documents, and `more`."""
    spec = verzoek.spec
    files = [
        stored("verzoek.xml", lambda: iter([verzoek.xml]), FileKind.VERZOEK, content_type="application/xml"),
        stored("verzoek.pdf", lambda: iter([verzoek.pdf]), FileKind.PDF, content_type="application/pdf"),
    ]
    for each in verzoek.documents:
        facts = {
            "content_type": each.spec.content_type,
            "bestandsnaam": each.spec.bestandsnaam,
            "document_id": each.document_id,
            "vertrouwelijk": each.spec.vertrouwelijk,
        }
        path = f"bijlagen/{each.spec.bestandsnaam}"
        files.append(stored(path, each.content.blocks, FileKind.DOCUMENT, **facts))
    return Handover(
        key=f"{spec.verzoeknummer}-{spec.volgnummer}",
        flow="stam",
        authority="voorbeeldstad",
        sink="zaken",
        verzoeknummer=spec.verzoeknummer,
        volgnummer=spec.volgnummer,
        manifest={"verzoeknummer": spec.verzoeknummer, "messageId": "m-1@dso", **manifest},
        files=(*files, *more),
    )


async def attempt(sink: ZgwSink, handover: Handover, checkpoint: MemoryCheckpoint) -> Outcome:
    """One attempt, as the deliverer makes it."""
    try:
        return await sink.deliver(handover, checkpoint)
    except StepFailed as failed:
        return failed.outcome


async def delivered(
    raw: dict[str, Any], handover: Handover, checkpoint: MemoryCheckpoint | None = None
) -> tuple[str, list[Outcome | None]]:
    """Attempt until it is delivered: where to, and how each attempt ended (None for a crash of the process)."""
    checkpoint = checkpoint if checkpoint is not None else MemoryCheckpoint()
    ends: list[Outcome | None] = []
    for number in range(1, 20):
        sink = sink_of(raw)
        try:
            ends.append(await attempt(sink, replace(handover, attempt=number), checkpoint))
        except SimulatedCrash:
            ends.append(None)
        finally:
            await sink.close()
        last = ends[-1]
        assert not isinstance(last, Permanent), last
        if isinstance(last, Delivered):
            assert last.reference is not None
            return last.reference, ends
    raise AssertionError(f"not delivered: {ends}")


def contents(fake: FakeZgw) -> list[bytes]:
    """What the documents hold."""
    return [fake.documents.content(one) for one in fake.made("enkelvoudiginformatieobjecten")]


def schema_errors(path: Path) -> Callable[[str, Any], Iterator[str]]:
    """What is wrong with a body by the schemas of the standard, a line for each."""
    from jsonschema import Draft202012Validator, FormatChecker

    names = {
        "zaken": "zaak_create",
        "zaakinformatieobjecten": "zaakinformatieobject_create",
        "rollen": "rol_create",
        "statussen": "status_create",
        "enkelvoudiginformatieobjecten": "enkelvoudiginformatieobject_create",
    }
    # a polygon has the shape of a MultiLineString too, which only the discriminator of OpenAPI tells apart
    text = path.read_text().replace('"oneOf"', '"anyOf"')
    schemas = {name.rpartition(".")[2]: one["schema"] for name, one in json.loads(text).items()}
    validators = {
        resource: Draft202012Validator(schemas[name], format_checker=FormatChecker())
        for resource, name in names.items()
    }

    def judge(resource: str, body: Any) -> Iterator[str]:
        if resource in validators:
            for error in validators[resource].iter_errors(body):
                yield f"{'.'.join(map(str, error.path))}: {error.message}"

    return judge
