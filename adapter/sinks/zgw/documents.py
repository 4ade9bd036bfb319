# SPDX-License-Identifier: EUPL-1.2

"""The files of a verzoek as documents in its zaak (ZGW Documenten API, and zaakinformatieobjecten of the Zaken API).

A document is known by its identificatie, which follows from the verzoek and its documentId; verzoekbericht and PDF have
none, so theirs follows from the volgnummer too. One that is there with the same content is used again: an Aanvulling
repeats every document that still counts. Under an identificatie that has other content a document is made again with
an identificatie of its own, which follows from the content too: nothing that was received is changed or hidden.
"""

import asyncio
import base64
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from adapter.delivery import HandoverFile, Json
from adapter.sinks.naming import bounded, printable
from adapter.sinks.verzoek import content_of
from adapter.sinks.zgw.client import Refused, text_in
from adapter.sinks.zgw.parts import is_incomplete, send_parts
from adapter.sinks.zgw.people import name_of
from adapter.sinks.zgw.registration import Registration, Zaak, first_ours, permanent
from adapter.store import FileKind

_TAKEN: Final = frozenset({"identificatie-niet-uniek", "unique"})
_MAX_NAME: Final = 200
_MAX_BESTANDSNAAM: Final = 255
_MAX_BESCHRIJVING: Final = 1000
_UNKNOWN_TYPE: Final = "application/octet-stream"


async def register_documents(work: Registration, zaak: Zaak) -> None:
    """Puts every file of the delivery in the zaak, where it is not there yet."""
    for file in work.handover.files:

        async def document(file: HandoverFile = file) -> Json:
            return await _register(work, zaak, file)

        result = await work.steps.once(f"document/{file.path}", document)

        async def relation(file: HandoverFile = file, url: str = result["url"]) -> Json:
            return await _relate(work, zaak, file, url)

        await work.steps.once(f"relation/{file.path}", relation)


async def _register(work: Registration, zaak: Zaak, file: HandoverFile) -> Json:
    parts = _parts_of(work, file)
    identificatie = work.identificatie(*parts)
    document = await _found_or_made(work, zaak, file, identificatie, None)
    result: dict[str, Any] = {"identificatie": identificatie}
    if not _is_same(document, file):
        revision = work.identificatie(*parts, file.sha256)
        document = await _found_or_made(work, zaak, file, revision, identificatie)
        result = {"identificatie": revision, "revision_of": identificatie}
        if not _is_same(document, file):
            raise permanent(
                f"{file.path}: document {revision} ({document.get('url')}) is there with other content; "
                "remove it there, then retry"
            )
    if is_incomplete(document):
        await send_parts(work.client, document, file)
    return {**result, "url": text_in(document, "url", "document")}


def _parts_of(work: Registration, file: HandoverFile) -> tuple[str, ...]:
    """What tells a file apart within its verzoek."""
    if file.kind is FileKind.DOCUMENT and file.document_id is not None:
        return ("document", file.document_id)
    volgnummer = work.verzoek.volgnummer
    if file.kind is FileKind.VERZOEK or file.kind is FileKind.PDF:
        return (file.kind.value, volgnummer)
    return ("file", file.path, volgnummer)


async def _found_or_made(
    work: Registration, zaak: Zaak, file: HandoverFile, identificatie: str, revision_of: str | None
) -> dict[str, Any]:
    if not zaak.is_new:
        found = await _found(work, identificatie)
        if found is not None:
            return found
    omschrijving = work.options.types_of(work.rule).type_of(file, work.verzoek)
    informatieobjecttype = await work.catalogue.informatieobjecttype(omschrijving, work.today)
    body = _body(work, file, identificatie, informatieobjecttype, revision_of)
    if file.size <= work.options.inline:
        content = await content_of(file, work.options.inline)
        body["inhoud"] = await asyncio.to_thread(_base64, content)
    url = work.client.url("documenten", "enkelvoudiginformatieobjecten")
    try:
        return await work.client.create(url, body, f"making the document of {file.path}")
    except Refused as refused:
        if not refused.codes & _TAKEN:
            raise
        found = await _found(work, identificatie)
        if found is None:
            raise
        return found


async def _found(work: Registration, identificatie: str) -> dict[str, Any] | None:
    query = {"identificatie": identificatie, "bronorganisatie": work.options.bronorganisatie}
    url = work.client.url("documenten", "enkelvoudiginformatieobjecten")
    found = await work.client.find(url, query, "document by its identificatie")
    return first_ours(found, query)


def _is_same(document: Mapping[str, Any], file: HandoverFile) -> bool:
    """Whether a document is this file, as far as the server tells: its size, and its SHA-256 where that is given."""
    if document.get("bestandsomvang") != file.size:
        return False
    integriteit = document.get("integriteit")
    if isinstance(integriteit, Mapping) and integriteit.get("algoritme") == "sha_256":
        return integriteit.get("waarde") == file.sha256
    return True


def _body(
    work: Registration,
    file: HandoverFile,
    identificatie: str,
    informatieobjecttype: str,
    revision_of: str | None,
) -> dict[str, Any]:
    given = printable(file.bestandsnaam or file.path).replace("\\", "/")
    name = given.rpartition("/")[2].strip() or file.path
    body: dict[str, Any] = {
        "identificatie": identificatie,
        "bronorganisatie": work.options.bronorganisatie,
        "informatieobjecttype": informatieobjecttype,
        "creatiedatum": _day_of(work).isoformat(),
        "ontvangstdatum": work.today.isoformat(),
        "titel": bounded(name, _MAX_NAME),
        "auteur": bounded(_author(work, file), _MAX_NAME),
        "taal": "nld",
        "status": "definitief",
        "bestandsnaam": name[-_MAX_BESTANDSNAAM:],
        "formaat": (file.content_type or _UNKNOWN_TYPE)[:_MAX_BESTANDSNAAM],
        "bestandsomvang": file.size,
        "inhoud": None,
        "indicatieGebruiksrecht": False,
        "integriteit": {"algoritme": "sha_256", "waarde": file.sha256, "datum": work.today.isoformat()},
        "beschrijving": bounded(_beschrijving(work, file, revision_of), _MAX_BESCHRIJVING),
    }
    aanduiding = work.options.vertrouwelijk if _is_confidential(file) else work.options.openbaar
    if aanduiding is not None:
        body["vertrouwelijkheidaanduiding"] = aanduiding.value
    return body


def _day_of(work: Registration) -> date:
    submitted = work.verzoek.submitted_at
    return work.today if submitted is None else min(work.today, submitted.date())


def _author(work: Registration, file: HandoverFile) -> str:
    """Who made a file: DSO-LV the verzoekbericht and the PDF, whoever asks the rest."""
    sender = work.verzoek.stuurgegevens.zender if work.verzoek.stuurgegevens is not None else None
    of_dso = (sender.organisatie if sender is not None else None) or "DSO-LV"
    if file.kind is not FileKind.DOCUMENT:
        return of_dso
    return name_of(work.verzoek.gemachtigde) or name_of(work.verzoek.initiatiefnemer) or of_dso


def _is_confidential(file: HandoverFile) -> bool:
    """Whether a file is to be kept confidential: only what is said not to be is not, and the PDF, made to publish."""
    if file.kind is FileKind.PDF:
        return bool(file.vertrouwelijk)
    return file.vertrouwelijk is not False


def _beschrijving(work: Registration, file: HandoverFile, revision_of: str | None) -> str:
    verzoek = work.verzoek
    parts = [f"{work.doel.value} {verzoek.verzoeknummer}, volgnummer {verzoek.volgnummer}"]
    if revision_of is not None:
        parts.append(f"gewijzigde inhoud van document {revision_of}")
    if file.kind is FileKind.VERZOEK and (lapsed := _lapsed(work.handover.manifest)):
        parts.append(f"vervallen documenten: {', '.join(lapsed)}")
    return "; ".join(parts)


def _lapsed(manifest: Json) -> list[str]:
    """The names of documents that an earlier message had and this one no longer names."""
    listed = manifest.get("vervallen")
    entries = listed if isinstance(listed, list | tuple) else ()
    documents = [one for one in entries if isinstance(one, Mapping)]
    return [str(one.get("bestandsnaam") or one.get("documentId")) for one in documents]


async def _relate(work: Registration, zaak: Zaak, file: HandoverFile, document: str) -> Json:
    """The relation between zaak and document. Relations are unique to servers, so one that is there is found."""
    url = work.client.url("zaken", "zaakinformatieobjecten")
    query = {"zaak": zaak.url, "informatieobject": document}
    if not zaak.is_new:
        found = await work.client.find(url, query, "relation of zaak and document")
        if found:
            return {"url": text_in(found[0], "url", "relation")}
    try:
        made = await work.client.create(
            url, {"zaak": zaak.url, "informatieobject": document}, f"putting {file.path} in the zaak"
        )
    except Refused as refused:
        if "unique" not in refused.codes:
            raise
        found = await work.client.find(url, query, "relation of zaak and document")
        if not found:
            raise
        made = found[0]
    return {"url": text_in(made, "url", "relation")}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
