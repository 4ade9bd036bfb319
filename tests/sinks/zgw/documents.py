# SPDX-License-Identifier: EUPL-1.2

"""The Documenten API of the fake: documents with their content in files, in one go or by bestandsdelen."""

import base64
import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sinks.zgw.rules import bounded, check_rsin, invalid, required
from tests.sinks.zgw.types import Types, Url

_NOT_RECEIVED = {"in_bewerking", "ter_vaststelling"}


class Documents:
    """The documents, by uuid; `parts_sent` counts how often each part was uploaded."""

    def __init__(self, url: Url, types: Types, directory: Path, part_size: Callable[[], int]) -> None:
        self._url = url
        self._types = types
        self._directory = directory
        self._part_size = part_size
        self.objects: dict[str, dict[str, dict[str, Any]]] = {"enkelvoudiginformatieobjecten": {}}
        self.parts: dict[str, tuple[str, dict[str, Any], int]] = {}
        self.parts_sent: list[int] = []
        self.unique = True

    def at(self, url: str) -> dict[str, Any]:
        """The document at a URL."""
        for one in self.objects["enkelvoudiginformatieobjecten"].values():
            if one["url"] == url:
                return one
        raise invalid(("informatieobject", "object-does-not-exist", f"De URL {url} is geen document."))

    def content(self, document: dict[str, Any]) -> bytes:
        """What a document holds."""
        return self._file(document["url"].rpartition("/")[2]).read_bytes()

    def shown(self, resource: str, one: dict[str, Any]) -> dict[str, Any]:
        """A document as GET shows it: who reads it is not told the lock, except by its parts."""
        return {**one, "lock": ""}

    def find(self, resource: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """What matches."""
        exact = {key: value for key, value in query.items() if key != "page"}
        found = self.objects[resource].values()
        return [
            self.shown(resource, one)
            for one in found
            if all(one[key] == value for key, value in exact.items())
        ]

    def make(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make a document, as POST does; raises Problem."""
        required(body, "informatieobjecttype", "bronorganisatie", "creatiedatum", "titel", "auteur", "taal")
        bounded(body, identificatie=40, titel=200, auteur=200, taal=3, bestandsnaam=255, formaat=255)
        bounded(body, beschrijving=1000)
        check_rsin("bronorganisatie", body["bronorganisatie"])
        kind = self._types.at("informatieobjecttypen", body["informatieobjecttype"], "informatieobjecttype")
        if body.get("ontvangstdatum") and body.get("status") in _NOT_RECEIVED:  # drc-005
            raise invalid(
                ("status", "invalid_for_received", "De status past niet bij een ontvangen document.")
            )
        identificatie = body.get("identificatie") or f"DOCUMENT-2026-{len(self.objects[resource]) + 1:010d}"
        taken = {(one["identificatie"], one["bronorganisatie"]) for one in self.objects[resource].values()}
        if self.unique and (identificatie, body["bronorganisatie"]) in taken:
            raise invalid(("identificatie", "identificatie-niet-uniek", "Deze identificatie bestaat al."))
        identity = str(uuid.uuid4())
        made = _document(body, identificatie, self._url("documenten", resource, identity), kind)
        self._store(identity, made, body)
        self.objects[resource][identity] = made
        return made

    def put_part(self, identity: str, lock: str, staged: Path, size: int) -> dict[str, Any]:
        """Take one part, whether or not it was there; raises Problem."""
        if identity not in self.parts:
            raise invalid(("nonFieldErrors", "not_found", "Het bestandsdeel bestaat niet."))
        document, part, start = self.parts[identity]
        if lock != part["lock"]:
            raise invalid(("nonFieldErrors", "incorrect-lock-id", "Lock id is niet correct."))
        if size != part["omvang"]:
            raise invalid(("inhoud", "file-size", "Het aangeleverde bestand heeft een afwijkende omvang."))
        with self._file(document).open("r+b") as file, staged.open("rb") as source:
            file.seek(start)
            while chunk := source.read(1024 * 1024):
                file.write(chunk)
        part["voltooid"] = True
        self.parts_sent.append(part["volgnummer"])
        return part

    def unlock(self, identity: str, lock: str) -> None:
        """End an upload; raises Problem."""
        document = self.objects["enkelvoudiginformatieobjecten"][identity]
        if not document["locked"]:
            raise invalid(("nonFieldErrors", "unlocked", "Het document is niet vergrendeld."))
        if lock != self.lock_of(document):
            raise invalid(("lock", "incorrect-lock-id", "Lock id is niet correct."))
        if not all(part["voltooid"] for part in document["bestandsdelen"]):
            raise invalid(
                ("nonFieldErrors", "incomplete-upload", "Upload van bestandsdelen is niet compleet.")
            )
        digest = _digest(self._file(identity))
        integriteit = document["integriteit"]
        assert integriteit is None or integriteit["waarde"] == digest
        document.update(locked=False, bestandsdelen=[], lock="")

    def lock_of(self, document: dict[str, Any]) -> str:
        """The lock of a document whose content is being uploaded."""
        return str(document["bestandsdelen"][0]["lock"])

    def _store(self, identity: str, document: dict[str, Any], body: dict[str, Any]) -> None:
        size = body.get("bestandsomvang")
        if body.get("inhoud") is not None:
            content = base64.b64decode(body["inhoud"], validate=True)
            if len(content) != size:
                raise invalid(("bestandsomvang", "file-size", "De omvang past niet bij de inhoud."))
            self._file(identity).write_bytes(content)
        elif size:
            with self._file(identity).open("wb") as file:
                file.truncate(size)
            document.update(locked=True, lock=uuid.uuid4().hex)
            document["bestandsdelen"] = self._parts(identity, size, document["lock"])

    def _parts(self, document: str, size: int, lock: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for number, start in enumerate(range(0, size, self._part_size()), 1):
            identity = str(uuid.uuid4())
            part = {
                "url": self._url("documenten", "bestandsdelen", identity),
                "volgnummer": number,
                "omvang": min(self._part_size(), size - start),
                "voltooid": False,
                "lock": lock,
            }
            parts.append(part)
            self.parts[identity] = (document, part, start)
        return parts[::-1]  # nothing says that they come in order

    def _file(self, identity: str) -> Path:
        return self._directory / f"document-{identity}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(body: dict[str, Any], identificatie: str, url: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {
        "url": url,
        "identificatie": identificatie,
        "bronorganisatie": body["bronorganisatie"],
        "creatiedatum": body["creatiedatum"],
        "titel": body["titel"],
        "vertrouwelijkheidaanduiding": body.get("vertrouwelijkheidaanduiding")
        or kind["vertrouwelijkheidaanduiding"],
        "auteur": body["auteur"],
        "status": body.get("status", ""),
        "formaat": body.get("formaat", ""),
        "taal": body["taal"],
        "versie": 1,
        "beginRegistratie": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "bestandsnaam": body.get("bestandsnaam", ""),
        "inhoud": f"{url}/download?versie=1",
        "bestandsomvang": body.get("bestandsomvang"),
        "link": "",
        "beschrijving": body.get("beschrijving", ""),
        "ontvangstdatum": body.get("ontvangstdatum"),
        "verzenddatum": None,
        "indicatieGebruiksrecht": body.get("indicatieGebruiksrecht"),
        "verschijningsvorm": "",
        "ondertekening": None,
        "integriteit": body.get("integriteit"),
        "informatieobjecttype": body["informatieobjecttype"],
        "locked": False,
        "bestandsdelen": [],
        "trefwoorden": [],
        "lock": "",
    }
