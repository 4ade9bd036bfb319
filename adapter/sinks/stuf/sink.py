# SPDX-License-Identifier: EUPL-1.2

"""The stuf-zds sink: a verzoek becomes a zaak with documents at a receiver of StUF-ZDS.

Each message is a step, and each step has a referentienummer that depends on what is sent and on nothing else: a
message whose answer was lost is sent again under the same one, and a receiver that knows it already (StUF016) has it.
A message that was refused is another one next time, with the next number. `tijdstipBericht` is that of the sending:
receivers may ask that it grows from message to message (StUF019), which a repeat with its first one would not.

The number of a zaak is remembered with the delivery; later deliveries of the same verzoek find it there.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from lxml import etree

from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    HandoverFile,
    Outcome,
    Permanent,
    SinkContext,
    SinkType,
    StepFailed,
    Steps,
)
from adapter.observe import get_logger
from adapter.sinks.identity import stable_uuid
from adapter.sinks.naming import identificatie
from adapter.sinks.rules import rule_for
from adapter.sinks.soap import FileRequest
from adapter.sinks.stuf.messages import (
    Stuurgegevens,
    changed_zaak,
    new_document,
    new_zaak,
    number_request,
)
from adapter.sinks.stuf.options import StufZdsOptions, ZaaktypeRule
from adapter.sinks.stuf.receiver import KNOWN_ALREADY, Receiver, Refused
from adapter.sinks.verzoek import verzoek_of
from adapter.store import Flow
from adapter.verzoek import Doel, Verzoekbericht

log = get_logger(__name__)

SKIPPED: Final = "document_skipped"
_ZAAK: Final = "zaak"
_CHANGE: Final = "change"
_NUMBER: Final = "identificatie"
_REFUSALS: Final = "refusals"


class StufZdsSink:
    """Delivers verzoeken to one receiver."""

    def __init__(self, options: StufZdsOptions, context: SinkContext) -> None:
        self._options = options
        self._context = context
        self._receiver = Receiver(options, context)

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Makes or finds the zaak, changes it where the verzoek says so, and adds what documents it has not yet.

        ContentDamaged and ContentUnavailable, from reading a file, pass through.
        """
        verzoek = await verzoek_of(handover)
        rule = rule_for(verzoek, "zaaktypen", self._options.zaaktypen)
        self._require_fitting(handover)
        delivery = _Delivery(
            self._options, self._context, self._receiver, checkpoint, handover.key, verzoek, rule
        )
        zaak = await delivery.zaak()
        for file in handover.files:
            if self._fits(file):
                await delivery.document(zaak, file)
            else:
                await delivery.skip(file)
        return Delivered(reference=zaak)

    async def probe(self) -> None:
        """Checks that both services answer."""
        await self._receiver.probe()

    async def close(self) -> None:
        """Closes its connections."""
        await self._receiver.close()

    def _fits(self, file: HandoverFile) -> bool:
        return file.size <= self._options.max_document

    def _require_fitting(self, handover: Handover) -> None:
        large = [file for file in handover.files if not self._fits(file)]
        if not large or self._options.too_large == "skip":
            return
        named = ", ".join(f"{file.path} ({file.size} bytes)" for file in large)
        raise StepFailed(
            Permanent(
                f"larger than max_document ({self._options.max_document} bytes): {named}; raise max_document if the "
                'receiver takes so much, or set too_large = "skip", then retry'
            ),
            undone=True,
        )


class _Delivery:
    """One attempt to deliver one verzoek."""

    def __init__(
        self,
        options: StufZdsOptions,
        context: SinkContext,
        receiver: Receiver,
        checkpoint: Checkpoint,
        key: str,
        verzoek: Verzoekbericht,
        rule: ZaaktypeRule,
    ) -> None:
        self._options = options
        self._context = context
        self._receiver = receiver
        self._checkpoint = checkpoint
        self._steps = Steps(checkpoint)
        self._key = key
        self._verzoek = verzoek
        self._rule = rule

    async def zaak(self) -> str:
        """The number of the zaak, which is there, and as this verzoek says."""
        result = await self._steps.once(_ZAAK, self._make_zaak)
        number = str(result[_NUMBER])
        # Also on a zaak that was made just now: a receiver may have had it, unknown to a store that was emptied since.
        if self._verzoek.known_doel in {Doel.AANVULLEN, Doel.INTREKKEN}:
            await self._steps.once(_CHANGE, lambda: self._change_zaak(number))
        return number

    async def document(self, zaak: str, file: HandoverFile) -> None:
        """Adds a document to the zaak, unless an earlier delivery did."""
        identity = _identity(file)
        step = f"document:{identity}"

        async def make() -> dict[str, object]:
            if (earlier := self._earlier(step)) is not None:
                return {_NUMBER: earlier[_NUMBER]}
            number = await self._number("document", step, identity)
            documenttype = self._options.types_of(self._rule).type_of(file, self._verzoek)

            async def tell(stuurgegevens: Stuurgegevens) -> None:
                message, place = new_document(
                    stuurgegevens, number, zaak, file, self._verzoek, self._options, documenttype
                )
                request = FileRequest.of(await self._receiver.written(message), place, file)
                await self._tell("voegZaakdocumentToe", stuurgegevens, request, waits_for_zaak=True)

            await self._send(step, tell)
            return {_NUMBER: number}

        await self._steps.once(step, make)

    async def skip(self, file: HandoverFile) -> None:
        """Says on the timeline that a document was left out."""
        step = f"skipped:{_identity(file)}"
        if self._checkpoint.get(step) is not None:
            return
        log.warning(
            "a document is too large for the receiver", action="stuf.document_skipped", path=file.path
        )
        await self._checkpoint.set(step, {"path": file.path, "size": file.size}, note=SKIPPED)

    async def _make_zaak(self) -> dict[str, object]:
        if (earlier := self._earlier(_ZAAK)) is not None:
            return {_NUMBER: earlier[_NUMBER]}
        number = await self._number("zaak", _ZAAK, "")

        async def tell(stuurgegevens: Stuurgegevens) -> None:
            rule = self._rule
            message = new_zaak(
                stuurgegevens, number, self._verzoek, self._options, rule.zaaktype, rule.status
            )
            await self._tell("creeerZaak", stuurgegevens, message, waits_for_zaak=False)

        await self._send(_ZAAK, tell)
        return {_NUMBER: number}

    async def _change_zaak(self, number: str) -> dict[str, object]:
        withdrawn = self._verzoek.known_doel is Doel.INTREKKEN
        status = self._rule.status_intrekken if withdrawn else self._rule.status_aanvullen

        async def tell(stuurgegevens: Stuurgegevens) -> None:
            message = changed_zaak(stuurgegevens, number, self._verzoek, status)
            await self._tell("updateZaak", stuurgegevens, message, waits_for_zaak=True)

        await self._send(f"{_CHANGE}:{self._key}", tell)
        return {}

    async def _tell(
        self,
        operation: str,
        stuurgegevens: Stuurgegevens,
        message: etree._Element | FileRequest,
        *,
        waits_for_zaak: bool,
    ) -> None:
        """Send a kennisgeving, which the receiver may have had already."""
        number = stuurgegevens.referentienummer
        try:
            await self._receiver.tell(operation, number, message, waits_for_zaak=waits_for_zaak)
        except Refused as refused:
            if refused.code != KNOWN_ALREADY:
                raise
            log.info("the receiver has it already", action="stuf.known_already", operation=operation)

    async def _number(self, what: str, step: str, identity: str) -> str:
        """The number of a new zaak or document: our own, or one that the receiver generates and that is then kept."""
        if self._options.is_numbered_here:
            return self._own_number(identity)
        numbered = f"{step}:number"

        async def generate() -> dict[str, object]:
            if (earlier := self._earlier(numbered)) is not None:
                return dict(earlier)
            number = ""

            async def request(stuurgegevens: Stuurgegevens) -> None:
                nonlocal number
                message = number_request(stuurgegevens, what)
                number = await self._receiver.number(what, stuurgegevens.referentienummer, message)

            await self._send(numbered, request)
            return {_NUMBER: number}

        return str((await self._steps.once(numbered, generate))[_NUMBER])

    async def _send(self, step: str, send: Callable[[Stuurgegevens], Awaitable[None]]) -> None:
        """Send the message of a step, and remember when it was refused: the next is another message."""
        counted = f"{step}:{_REFUSALS}"
        known = self._checkpoint.get(counted) or self._checkpoint.earlier(counted) or {}
        refusals = int(known.get(_REFUSALS, 0))
        parts = (self._context.oin, self._verzoek.verzoeknummer, step, str(refusals))
        stuurgegevens = Stuurgegevens(
            self._options.zender, self._options.ontvanger, str(stable_uuid(*parts)), self._context.clock()
        )
        try:
            await send(stuurgegevens)
        except Refused:
            await self._checkpoint.set(counted, {_REFUSALS: refusals + 1})
            raise

    def _earlier(self, step: str) -> Mapping[str, Any] | None:
        """What a step came to in an earlier delivery of this verzoek."""
        return self._steps.earlier(step)

    def _own_number(self, identity: str) -> str:
        number = self._verzoek.verzoeknummer
        return identificatie(str(self._options.gemeentecode), number, self._context.oin, number, identity)


def _identity(file: HandoverFile) -> str:
    """What tells the documents of a verzoek apart over its deliveries: its id, or its place, and its content."""
    parts = (file.document_id or file.path, file.sha256)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


STUF_ZDS: SinkType[StufZdsOptions] = SinkType(
    "stuf-zds", StufZdsOptions, StufZdsSink, flows=frozenset({Flow.STAM})
)
