# SPDX-License-Identifier: EUPL-1.2

"""How the files of a verzoek are found: by its references, or by addresses that are made after a pattern.

Which of the two DSO-LV wants for an authority is configuration (STAM 4.3). Whoever collects cannot tell them apart.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Protocol
from urllib.parse import quote, urlencode

from adapter.stam.asking import Asker, Request
from adapter.stam.problems import FetchProblem
from adapter.stam.references import Link, LinkRules, References, ReferencesProblem, read_references
from adapter.verzoek import Document, Verzoekbericht

MAX_REFERENCES: Final = 5 * 1024 * 1024

JSON: Final = "application/hal+json, application/json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The verzoek to fetch; `volgnummer` is that of the message that was announced, where it is known."""

    verzoeknummer: str
    volgnummer: str | None = None


class Strategy(Protocol):
    """Finds the files of a verzoek. Each method raises FetchProblem."""

    may_come_later: ClassVar[bool]
    """Whether a file that is not found may be there later: an address that was made says nothing of that."""

    async def find(self, wanted: Wanted) -> References:
        """The links that are known before the STAM XML is: that to the XML among them, unless it is not there yet."""

    def complete(self, references: References, bericht: Verzoekbericht) -> References:
        """All links, with those that follow from the STAM XML."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Addresses below the base `url` of the API, with `parameters` added to each query."""

    url: str
    parameters: tuple[tuple[str, str], ...] = ()

    def of(self, template: str, **values: str | None) -> str:
        """The address that a template stands for.

        A value takes the place of its name in braces, and cannot leave it: it is one segment of the path, or one value
        of the query. Raises FetchProblem for one that is missing, or no name of anything.
        """
        path = template
        for name, value in values.items():
            if "{" + name + "}" in path:
                path = path.replace("{" + name + "}", _segment(name, value))
        url = f"{self.url.rstrip('/')}/{path.lstrip('/')}"
        return _with_query(url, self.parameters)

    def below(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> str:
        """The address of a path without names in it, with further parameters."""
        return _with_query(self.of(path), parameters)


@dataclass(frozen=True, slots=True)
class ByReferences:
    """Asks for the references of a verzoek, and follows their links."""

    asker: Asker
    paths: Paths
    template: str
    rules: LinkRules

    may_come_later: ClassVar[bool] = False

    async def find(self, wanted: Wanted) -> References:
        """The links of the references."""
        number = wanted.verzoeknummer
        url = self.paths.of(self.template, verzoeknummer=number, volgnummer=wanted.volgnummer)
        what = f"the references of verzoek {number}"
        async with self.asker.ask(
            Request("GET", url, what, {"Accept": JSON}, may_come_later=True)
        ) as response:
            body = await response.read(MAX_REFERENCES)
        try:
            return await asyncio.to_thread(read_references, body, url, self.rules)
        except ReferencesProblem as problem:
            raise FetchProblem(f"{what}: {problem.reason}", temporary=False) from problem

    def complete(self, references: References, bericht: Verzoekbericht) -> References:  # noqa: ARG002 - as all do
        """The references know every file already."""
        return references


@dataclass(frozen=True, slots=True)
class DirectPaths:
    """The patterns of addresses below the base of the API; None where there is nothing to fetch of that kind."""

    verzoek: str = "/verzoeken/{verzoeknummer}/samenvatting"
    pdf: str | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Direct:
    """Makes the address of the STAM XML, of the PDF and of each document that the XML names; asks for no references."""

    paths: Paths
    templates: DirectPaths

    may_come_later: ClassVar[bool] = True

    async def find(self, wanted: Wanted) -> References:
        """The STAM XML and, where it has a pattern, the PDF."""
        pdf = self.templates.pdf
        return References(
            self._link("verzoek", self.templates.verzoek, wanted),
            self._link("pdf", pdf, wanted) if pdf is not None else None,
        )

    def complete(self, references: References, bericht: Verzoekbericht) -> References:
        """The documents too, each under its documentId."""
        template = self.templates.document
        if template is None and bericht.documents:
            raise FetchProblem(
                f"verzoek {bericht.verzoeknummer} has {len(bericht.documents)} documents, and nothing says where they "
                "are; give their path in [authorities.….dso.direct] document",
                temporary=False,
            )
        documents = tuple(self._document(template or "", bericht, each) for each in bericht.documents)
        return replace(references, documents=documents)

    def _document(self, template: str, bericht: Verzoekbericht, document: Document) -> Link:
        wanted = Wanted(bericht.verzoeknummer, bericht.volgnummer)
        return self._link("document", template, wanted, document.document_id)

    def _link(self, rel: str, template: str, wanted: Wanted, document_id: str | None = None) -> Link:
        href = self.paths.of(
            template,
            verzoeknummer=wanted.verzoeknummer,
            volgnummer=wanted.volgnummer,
            documentId=document_id,
        )
        return Link(rel, href, document_id)


def _segment(name: str, value: str | None) -> str:
    if value is None:
        raise FetchProblem(
            f"the path asks for the {name}, which nobody said: no notification announced it; leave {{{name}}} out of "
            "the paths in [authorities.….dso]",
            temporary=False,
        )
    # Dots are not encoded by `quote`, and a value of dots only would climb in the path.
    if not value.strip("."):
        raise FetchProblem(f"{value!r} is no {name}", temporary=False)
    return quote(value, safe="")


def _with_query(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(parameters) if parameters else url
