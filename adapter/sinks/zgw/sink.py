# SPDX-License-Identifier: EUPL-1.2

"""The zgw sink: a verzoek becomes a zaak with documents, rollen and a status at a server with the ZGW APIs.

Each call is a step: its result is remembered before the next is made, and what an attempt before this one may have
done is looked for before it is done. Zaak and documents have identificaties that follow from the verzoek, so that
every message of a verzoek meets the same zaak, and every attempt the same documents.
"""

from typing import Final

from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    Outcome,
    Permanent,
    SinkContext,
    SinkProblem,
    SinkType,
    Steps,
)
from adapter.sinks.access import SecretFile
from adapter.sinks.rules import rule_for
from adapter.sinks.verzoek import verzoek_of
from adapter.sinks.zgw.catalogue import Catalogue
from adapter.sinks.zgw.client import Refused, ZgwClient
from adapter.sinks.zgw.documents import register_documents
from adapter.sinks.zgw.options import ZgwOptions
from adapter.sinks.zgw.people import register_people
from adapter.sinks.zgw.place import register_places
from adapter.sinks.zgw.probing import problems_of
from adapter.sinks.zgw.registration import Registration, dutch_day, permanent
from adapter.sinks.zgw.status import register_status
from adapter.sinks.zgw.zaak import zaak_for
from adapter.store import Flow


class ZgwSink:
    """Delivers to the ZGW APIs of one server; raises SinkProblem when it cannot work as configured."""

    def __init__(self, options: ZgwOptions, context: SinkContext) -> None:
        SecretFile.check(SecretFile("secret_file", options.secret_file))
        self._options: Final = options
        self._context: Final = context
        self._client: Final = ZgwClient(options, context)
        self._catalogue: Final = Catalogue(options, self._client, context.clock)

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Delivers one message of a verzoek, or goes on where an earlier attempt stopped."""
        work = await self._registration(handover, checkpoint)
        try:
            zaak = await zaak_for(work)
            await register_documents(work, zaak)
            await register_people(work, zaak)
            await register_places(work, zaak)
            await register_status(work, zaak)
        except Refused as refused:
            if isinstance(refused.outcome, Permanent):
                # a type may have been replaced by a newer version: it is looked up again for the next attempt
                self._catalogue.forget()
            raise
        return Delivered(zaak.url)

    async def probe(self) -> None:
        """Checks that every type that is configured is there, and that zaken and documenten may be read; makes
        nothing.
        """
        problems = await problems_of(self._options, self._client, self._catalogue, self._context.clock())
        if problems:
            raise SinkProblem(*problems)

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.close()

    async def _registration(self, handover: Handover, checkpoint: Checkpoint) -> Registration:
        verzoek = await verzoek_of(handover)
        doel = verzoek.known_doel
        if doel is None:
            raise permanent(
                f"doel {verzoek.doel!r} is not known, so what to do with it is not either; see to it by hand"
            )
        return Registration(
            handover=handover,
            verzoek=verzoek,
            doel=doel,
            rule=rule_for(verzoek, "zaaktypen", self._options.zaaktypen),
            options=self._options,
            client=self._client,
            catalogue=self._catalogue,
            steps=Steps(checkpoint),
            checkpoint=checkpoint,
            oin=self._context.oin,
            today=dutch_day(self._context.clock()),
            clock=self._context.clock,
        )


ZGW: SinkType[ZgwOptions] = SinkType("zgw", ZgwOptions, ZgwSink, flows=frozenset({Flow.STAM}))
