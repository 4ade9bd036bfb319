# SPDX-License-Identifier: EUPL-1.2

"""Made-up verzoeken: a specification in, a STAM 4.0 XML, a PDF and documents out, the same octets every
time.
"""

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from adapter.simulator.content import GeneratedContent, head_for, small_pdf
from adapter.simulator.specs import DocumentSpec, VerzoekSpec, next_volgnummer
from adapter.simulator.stam_xml import notification, verzoekbericht
from adapter.verzoek import Doel


@dataclass(frozen=True, slots=True)
class SimulatedDocument:
    """A document with its documentId (64 hex characters) and its content, which is generated while it is
    read.
    """

    spec: DocumentSpec
    document_id: str
    content: GeneratedContent


@dataclass(frozen=True)
class SimulatedVerzoek:
    """A complete verzoek as DSO-LV would hold it."""

    spec: VerzoekSpec
    documents: tuple[SimulatedDocument, ...] = ()

    @property
    def verzoeknummer(self) -> str:
        """The verzoeknummer."""
        return self.spec.verzoeknummer

    @cached_property
    def xml(self) -> bytes:
        """The verzoekbericht, valid against the STAM 4.0 schema."""
        return verzoekbericht(self.spec, tuple((each.spec, each.document_id) for each in self.documents))

    @cached_property
    def pdf(self) -> bytes:
        """The publiceerbare PDF."""
        spec = self.spec
        return small_pdf(
            (
                f"Verzoek {spec.verzoeknummer}-{spec.volgnummer}",
                f"{spec.type} ({spec.doel})",
                "Gemaakt door een simulator; niemand heeft dit aangevraagd.",
            )
        )

    def document(self, document_id: str) -> SimulatedDocument | None:
        """The document with this id, None where there is none."""
        return next((each for each in self.documents if each.document_id == document_id), None)

    def is_open_to(self, oin: str) -> bool:
        """Whether an organisation may fetch it: its bevoegd gezag and its behandeldienst may."""
        return oin in {self.spec.bevoegd_gezag, self.spec.behandeldienst}


def make_verzoek(spec: VerzoekSpec) -> SimulatedVerzoek:
    """Make the verzoek of a specification."""
    return SimulatedVerzoek(
        spec, tuple(_document(spec, position, each) for position, each in enumerate(spec.documents))
    )


def supplement(
    verzoek: SimulatedVerzoek,
    *,
    dropped: Container[str] = (),
    added: Sequence[DocumentSpec] = (),
    answers: Mapping[str, str] | None = None,
) -> SimulatedVerzoek:
    """Make an Aanvulling of an earlier message: a full snapshot, with the next volgnummer.

    `dropped` are documentIds that it no longer lists; the others keep theirs, and `added` documents get new ones.
    `answers` are the changed ones by vraagId (`vraag-1` is the first), which then say what they were before.
    """
    volgnummer = next_volgnummer(verzoek.spec.volgnummer)
    kept = [_pinned(each) for each in verzoek.documents if each.document_id not in dropped]
    new = [
        replace(
            each, document_id=_digest(f"{verzoek.spec.seed}/{verzoek.verzoeknummer}/{volgnummer}/{number}")
        )
        for number, each in enumerate(added)
    ]
    return _followed(
        verzoek, Doel.AANVULLEN, (*kept, *new), {**dict(verzoek.spec.changed), **(answers or {})}
    )


def withdrawal(verzoek: SimulatedVerzoek) -> SimulatedVerzoek:
    """Make an Intrekking of an earlier message: the same content, with the next volgnummer."""
    kept = tuple(_pinned(each) for each in verzoek.documents)
    return _followed(verzoek, Doel.INTREKKEN, kept, dict(verzoek.spec.changed))


def notification_xml(verzoek: SimulatedVerzoek) -> bytes:
    """The verzoeknotificatie that announces a verzoek, as the payload of an ebMS message."""
    return notification(verzoek.spec)


def _followed(
    verzoek: SimulatedVerzoek, doel: Doel, documents: tuple[DocumentSpec, ...], changed: Mapping[str, str]
) -> SimulatedVerzoek:
    return make_verzoek(
        replace(
            verzoek.spec,
            volgnummer=next_volgnummer(verzoek.spec.volgnummer),
            doel=doel.value,
            documents=documents,
            changed=tuple(changed.items()),
        )
    )


def _pinned(document: SimulatedDocument) -> DocumentSpec:
    """The specification with its documentId, which must not follow from its place in another list."""
    return replace(document.spec, document_id=document.document_id)


def _document(spec: VerzoekSpec, position: int, document: DocumentSpec) -> SimulatedDocument:
    document_id = document.document_id or _digest(f"{spec.seed}/{spec.verzoeknummer}/{position}")
    content = GeneratedContent(
        f"{document_id}/{document.version}", document.size, head_for(document.content_type)
    )
    return SimulatedDocument(document, document_id, content)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
