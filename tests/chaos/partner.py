# SPDX-License-Identifier: EUPL-1.2

"""Partners that want to be sure: each sends a message until it is acknowledged, whatever happens to the adapter.

A connection that is refused or cut, a 503, an answer that never comes: the same octets go out again. What they
believe in the end is for the checker.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from adapter.simulator import (
    ACTION,
    SERVICE,
    DocumentSpec,
    Payload,
    SentMessage,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    WorldAuthority,
    make_verzoek,
    notification_xml,
    verzoeknummer,
)
from tests.chaos.checker import Believed, Contents, contents_of

PATIENCE = (0.3, 1.2)
"""Seconds to wait for an acknowledgment before the same octets go out again: from, until."""

_PAUSE = (0.0, 0.2)
SIZES = (500, 5_000, 20_000, 70_000, 150_000)
"""Octets of a file; beyond 64 KiB it goes through the spool."""


@dataclass(frozen=True, slots=True)
class Mischief:
    """How often, per message, something goes wrong on the side of the partner."""

    duplicate: float = 0.3
    announce_again: float = 0.1
    refuse_acknowledgment: float = 0.1
    cut_message: float = 0.05
    api_unavailable: float = 0.05
    api_cut: float = 0.05


NO_MISCHIEF = Mischief(**dict.fromkeys(Mischief.__dataclass_fields__, 0.0))


@dataclass(slots=True)
class Counts:
    """What the partners did and met."""

    messages: int = 0
    resends: int = 0
    duplicates: int = 0
    unanswered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Announced:
    """A message on its way: what was sent, and what must be delivered of it."""

    sent: SentMessage
    authority: WorldAuthority
    contents: Contents
    verzoek: SimulatedVerzoek | None


@dataclass(slots=True)
class Partners:
    """The senders of all authorities of a simulated DSO-LV; `stam` are the names of those that get verzoeken."""

    dso: SimulatedDso
    stam: frozenset[str]
    chance: Random
    mischief: Mischief = field(default_factory=Mischief)
    sizes: Sequence[int] = SIZES
    counts: Counts = field(default_factory=Counts)
    _made: list[Announced] = field(default_factory=list)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0

    async def work(self, senders: int) -> None:
        """Send with so many senders for each authority until `stop`, and then until everything is acknowledged."""
        async with asyncio.TaskGroup() as group:
            for authority in self.dso.world.authorities:
                for _ in range(senders):
                    group.create_task(self._send_on(authority))

    def stop(self) -> None:
        """Begin no new message."""
        self._stopped.set()

    def believed(self) -> list[Believed]:
        """What the partners believe of everything they sent; ValueError for a signal that no partner accepts."""
        acknowledgments: dict[str, bytes] = {}
        for signal in self.dso.msh.received:
            reference = signal.ref_to_message_id or ""
            if signal.action != "Acknowledgment" or signal.problems:
                raise ValueError(f"{signal.action} about {reference}: {signal.problems or signal.errors}")
            if acknowledgments.setdefault(reference, signal.envelope) != signal.envelope:
                raise ValueError(f"{reference} was acknowledged in two different ways")
        return [believed(one, acknowledged=one.sent.message_id in acknowledgments) for one in self._made]

    async def announce(self, authority: WorldAuthority) -> Announced:
        """Make a message, not yet sent: of a verzoek, at times of one that was announced before, or of payloads."""
        again = [one for one in self._made[-50:] if one.authority is authority and one.verzoek is not None]
        if again and self.chance.random() < self.mischief.announce_again:
            made = await self._make(authority, self.chance.choice(again).verzoek)
        else:
            made = await self._make(
                authority, self._verzoek(authority) if authority.name in self.stam else None
            )
        self._made.append(made)
        self.counts.messages += 1
        return made

    async def deliver(self, one: Announced) -> None:
        """Send a message until it is acknowledged."""
        await self._post(one)
        while not await self._is_acknowledged(one):
            self.counts.resends += 1
            await self._post(one)

    async def _send_on(self, authority: WorldAuthority) -> None:
        while not self._stopped.is_set():
            one = await self.announce(authority)
            self._make_mischief(one)
            await self.deliver(one)
            if self.chance.random() < self.mischief.duplicate:
                await self._repeat_an_earlier_one()
            await asyncio.sleep(self.chance.uniform(*_PAUSE))

    async def _repeat_an_earlier_one(self) -> None:
        """A storm of duplicates: at the same time, of what may be acknowledged and delivered long since."""
        earlier = self.chance.choice(self._made[-200:])
        times = self.chance.randint(1, 4)
        self.counts.duplicates += times
        await asyncio.gather(*(self._post(earlier) for _ in range(times)))

    async def _post(self, one: Announced) -> None:
        answered = await self.dso.msh.resend(one.sent)
        if answered.status is None:
            self.counts.unanswered += 1
        else:
            self.counts.statuses[answered.status] += 1

    async def _is_acknowledged(self, one: Announced) -> bool:
        try:
            await self.dso.msh.wait_for(one.sent.message_id, self.chance.uniform(*PATIENCE))
        except TimeoutError:
            return False
        return True

    def _make_mischief(self, one: Announced) -> None:
        faults, odds = self.dso.faults, self.mischief
        faults.late_acknowledgment += self.chance.random() < odds.refuse_acknowledgment
        faults.cut_message += self.chance.random() < odds.cut_message
        if one.verzoek is not None:
            faults.unavailable += self.chance.random() < odds.api_unavailable
            if self.chance.random() < odds.api_cut:
                faults.cut.add(self.chance.choice(one.verzoek.documents).document_id)

    async def _make(self, authority: WorldAuthority, verzoek: SimulatedVerzoek | None) -> Announced:
        if verzoek is None:
            payload = Payload(self.chance.randbytes(self._size()), "application/octet-stream", "bericht.bin")
            contents = contents_of([[payload.content]])
        else:
            self.dso.api.publish(verzoek)
            payload = Payload(notification_xml(verzoek))
            contents = contents_of(
                [[verzoek.xml], [verzoek.pdf], *(document.content.blocks() for document in verzoek.documents)]
            )
        sent = await self.dso.msh.send(authority.cpa_id, SERVICE, ACTION, [payload], is_lost=True)
        return Announced(sent, authority, contents, verzoek)

    def _verzoek(self, authority: WorldAuthority) -> SimulatedVerzoek:
        self._number += 1
        documents = tuple(
            DocumentSpec(f"bijlage {number}.pdf", self._size()) for number in range(self.chance.randint(1, 2))
        )
        number = verzoeknummer(datetime.now(UTC).date(), self._number)
        return make_verzoek(VerzoekSpec(number, authority.oin, documents=documents, seed=self._number))

    def _size(self) -> int:
        return self.chance.choice(self.sizes) + self.chance.randint(0, 99)


def believed(one: Announced, *, acknowledged: bool) -> Believed:
    """What the partner believes of a message."""
    return Believed(
        message_id=one.sent.message_id,
        authority=one.authority.name,
        contents=one.contents,
        verzoeknummer=one.verzoek.verzoeknummer if one.verzoek is not None else None,
        acknowledged=acknowledged,
    )
