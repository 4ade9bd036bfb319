# SPDX-License-Identifier: EUPL-1.2

"""The openwave sink: the XML of the verzoek by POST, then each document by a POST of its own.

The receiver recognises nothing that is repeated, so each POST is a step that is remembered. After a crash within one,
that one is made again, and the timeline says that it was possibly repeated. A 200 means that the XML was recognised,
not that it was processed: the receiver's own log tells that.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

from lxml import etree
from pydantic import Field

from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    HandoverFile,
    Outcome,
    Permanent,
    SinkContext,
    SinkProblem,
    SinkType,
    StepFailed,
    Steps,
    unique_names,
)
from adapter.sinks.access import (
    AUTHORIZATION,
    BasicOptions,
    SecretFile,
    basic_authorization,
    probe_url,
    without_query,
)
from adapter.sinks.bodies import XML, Body, Part, media_type, multipart, post
from adapter.sinks.connection import ConnectionOptions, open_client, refusal
from adapter.store import FileKind, Flow
from adapter.verzoek import Doel, known_doel

_XML_STEP: Final = "xml"
_NAMES_STEP: Final = "names"


class Withdrawal(StrEnum):
    """What is posted for doel Intrekken: the verzoek itself, or the short message that says to close the case."""

    STAM = "stam"
    CLOSE = "close"


class Parameters(StrEnum):
    """Where the parameters of an upload stand: in fields of the form, or in the query."""

    FORM = "form"
    QUERY = "query"


Result = Mapping[str, Any]
FieldName = Annotated[str, Field(min_length=1)]


class OpenWaveOptions(ConnectionOptions):
    """The options of an openwave sink.

    `url` takes the XML, `upload_url` the documents. An upload has the parameters `filename` and `number` (the
    verzoeknummer) under these names, and the document in the field `file`. `pdf`: whether the PDF of the verzoek goes
    too.
    """

    url: str
    upload_url: str
    basic: BasicOptions
    parameters: Parameters = Parameters.FORM
    filename: FieldName = "filename"
    number: FieldName = "olonummer"
    file: FieldName = "file"
    pdf: bool = True
    withdrawal: Withdrawal = Withdrawal.STAM


class OpenWaveSink:
    """Delivers to one receiver of the kind of OpenWave."""

    def __init__(self, options: OpenWaveOptions, context: SinkContext) -> None:
        self._options = options
        self._oin = context.oin
        self._clock = context.clock
        self._http = open_client(options, {"url": options.url, "upload_url": options.upload_url}, context)
        SecretFile.check(options.basic.secret)

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Post the XML, then the documents, each once; go on after the last one that was remembered."""
        found = _xml_of(handover)
        if isinstance(found, Permanent):
            return found
        headers = {AUTHORIZATION: await basic_authorization(self._options.basic)}
        steps = Steps(checkpoint)
        await steps.unrecognised(_XML_STEP, partial(self._post_xml, handover, found, headers))
        documents = self._documents(handover)
        named = await steps.once(_NAMES_STEP, partial(_name_all, documents, steps.earlier(_NAMES_STEP)))
        for file in documents:
            upload = partial(self._upload, handover, file, named["names"][file.path], headers)
            await steps.unrecognised(f"file:{file.path}", upload)
        return Delivered(without_query(self._options.url))

    async def probe(self) -> None:
        """Ask both addresses by OPTIONS whether they are there and let us in."""
        try:
            headers = {AUTHORIZATION: await basic_authorization(self._options.basic)}
        except StepFailed as failure:
            raise SinkProblem(str(failure)) from failure
        await probe_url(self._http, "OPTIONS", "url", self._options.url, headers)
        await probe_url(self._http, "OPTIONS", "upload_url", self._options.upload_url, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _post_xml(self, handover: Handover, xml: HandoverFile, headers: Mapping[str, str]) -> Result:
        """The XML as it was received, or what says to close the case."""
        closes = self._options.withdrawal is Withdrawal.CLOSE and _is_withdrawal(handover)
        content = _closing(self._oin, handover) if closes else xml
        return await self._post(self._options.url, Body(XML, [content]), headers, xml)

    async def _upload(
        self, handover: Handover, file: HandoverFile, name: str, headers: Mapping[str, str]
    ) -> Result:
        options = self._options
        parameters = {options.filename: name, options.number: handover.verzoeknummer or ""}
        url, fields = options.upload_url, []
        if options.parameters is Parameters.QUERY:
            url += ("&" if urlsplit(url).query else "?") + urlencode(parameters)
        else:
            fields = [Part(field, value.encode()) for field, value in parameters.items()]
        parts = [*fields, Part(options.file, file, media_type(file.content_type), name)]
        return await self._post(url, multipart(parts), headers, file)

    async def _post(self, url: str, body: Body, headers: Mapping[str, str], file: HandoverFile) -> Result:
        what = f"{without_query(url)}: {file.path}"
        answer = await post(self._http, url, body, headers, what)
        if not answer.is_success:
            raise refusal(answer, what, self._clock())
        return {}

    def _documents(self, handover: Handover) -> list[HandoverFile]:
        """What is uploaded: the PDF, if that is wanted, and then every document."""
        if handover.flow != Flow.STAM:
            return []
        wanted = (FileKind.PDF, FileKind.DOCUMENT) if self._options.pdf else (FileKind.DOCUMENT,)
        return [file for kind in wanted for file in handover.files if file.kind == kind]


async def _name_all(documents: Sequence[HandoverFile], earlier: Result | None) -> Result:
    """The name of each document, by its path, and what has which name in this verzoek by now.

    The receiver keeps the documents of all deliveries of a verzoek together, by their names. So other contents get
    another name, and the same contents the same one.
    """
    taken = () if earlier is None else (_Named(*entry) for entry in earlier["taken"])
    names = _Names(taken)
    # applicants choose the names: a thousand equal ones would take a while
    found = await asyncio.to_thread(lambda: {file.path: names.take(file) for file in documents})
    return {"names": found, "taken": [[one.name, one.wanted, one.sha256] for one in names.taken]}


@dataclass(frozen=True, slots=True)
class _Named:
    """A document of a verzoek: what it is called at the receiver, what it should have been called, and its digest."""

    name: str
    wanted: str
    sha256: str


class _Names:
    """The names in use at the receiver for one verzoek."""

    def __init__(self, taken: Iterable[_Named]) -> None:
        self.taken = list(taken)
        self._in_use = {one.name.casefold() for one in self.taken}
        self._before: defaultdict[tuple[str, str], deque[str]] = defaultdict(deque)
        for one in self.taken:
            self._before[one.wanted, one.sha256].append(one.name)

    def take(self, file: HandoverFile) -> str:
        """The name that this document had in an earlier delivery, else one that nothing has."""
        (wanted,) = unique_names([file.bestandsnaam or file.path.rpartition("/")[2]])
        before = self._before[wanted, file.sha256]
        if before:
            return before.popleft()
        name = wanted
        if name.casefold() in self._in_use:
            *_, name = unique_names([*(one.name for one in self.taken), wanted])
        self._in_use.add(name.casefold())
        self.taken.append(_Named(name, wanted, file.sha256))
        return name


def _xml_of(handover: Handover) -> HandoverFile | Permanent:
    """What is posted as XML: the verzoek, or the one payload of a message."""
    if handover.flow == Flow.STAM:
        found = [file for file in handover.files if file.kind == FileKind.VERZOEK]
    else:
        found = list(handover.files)
    if len(found) == 1:
        return found[0]
    what = (
        "a verzoek without its XML" if handover.flow == Flow.STAM else f"a message with {len(found)} payloads"
    )
    return Permanent(f"{what} cannot be posted; deliver it to a sink of another type")


def _is_withdrawal(handover: Handover) -> bool:
    return known_doel(handover.manifest.get("doel") or "") is Doel.INTREKKEN


def _closing(oin: str, handover: Handover) -> bytes:
    """The message that says to close a case that was withdrawn."""
    root = etree.Element("root")
    for name, text in (("oin", oin), ("verzoeknummer", handover.verzoeknummer), ("actie", "close")):
        etree.SubElement(root, name).text = text
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


OPENWAVE: SinkType[OpenWaveOptions] = SinkType("openwave", OpenWaveOptions, OpenWaveSink)
