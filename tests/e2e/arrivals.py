# SPDX-License-Identifier: EUPL-1.2

"""What arrived at a back-end, told in the same words for all of them; and what is to be there."""

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from adapter.simulator import SentMessage, SimulatedVerzoek, World, notification_xml
from adapter.verzoek import Doel, Verzoekbericht, read_verzoekbericht
from tests.e2e.way import Way
from tests.s3 import Bucket


class Announced(NamedTuple):
    """A message of DSO-LV, and the verzoek that it announces."""

    sent: SentMessage
    verzoek: SimulatedVerzoek


@dataclass(frozen=True)
class Arrived:
    """What a back-end got.

    `messages` are those that it got whole, by verzoeknummer and volgnummer, in their order. `contents` counts octets by
    their SHA-256 and the case or delivery they belong to, `cases` cases by their verzoeknummer; `withdrawn` are the
    verzoeken that it knows as withdrawn.
    """

    messages: tuple[str, ...] = ()
    contents: Counter[tuple[str, str]] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    withdrawn: frozenset[str] = frozenset()

    def is_all_of(self, other: "Arrived") -> bool:
        """Whether everything of the other is here, in the same order, whatever came more than once."""
        return (
            other.beyond(self) == 0
            and dict.fromkeys(self.messages) == dict.fromkeys(other.messages)
            and self.withdrawn == other.withdrawn
        )

    def beyond(self, other: "Arrived") -> int:
        """How many contents and cases there are here that are not there."""
        return (self.contents - other.contents).total() + (self.cases - other.cases).total()


def name_of(verzoek: SimulatedVerzoek) -> str:
    """What the delivery of a message is called."""
    return f"{verzoek.verzoeknummer}-{verzoek.spec.volgnummer}"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests(verzoek: SimulatedVerzoek) -> list[str]:
    """The SHA-256 of everything that DSO-LV serves of a message."""
    documents = (b"".join(each.content.blocks()) for each in verzoek.documents)
    return [digest(content) for content in (verzoek.xml, verzoek.pdf, *documents)]


class BackEnd(ABC):
    """What is at the end of a chain; `way` leads to it, where it speaks HTTP.

    `more` goes at the end of the configuration. One that `recognises` what is repeated has everything exactly once.
    """

    flow: ClassVar[str] = "stam"
    is_http: ClassVar[bool] = True
    more: ClassVar[str] = ""
    recognises: ClassVar[bool] = True

    def __init__(self, world: World, bucket: Bucket | None = None) -> None:
        self.world = world
        self.bucket = bucket
        self.way = Way(slowness=2.0)

    @property
    def url(self) -> str:
        """Where the sink finds it."""
        return self.way.url

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BackEnd"]:
        """Serve while the block lasts."""
        async with self.way.running(), self.serving() as target:
            self.way.target = target
            yield self

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve without a way to it; its address."""
        yield ""

    @abstractmethod
    def table(self) -> dict[str, Any]:
        """The table of the sink in the configuration."""

    @abstractmethod
    async def arrived(self) -> Arrived:
        """What is there now."""

    def expected(self, announced: Sequence[Announced]) -> Arrived:
        """What has to be there after these messages: for each delivery all of its files, once."""
        verzoeken = [each.verzoek for each in announced]
        return Arrived(
            messages=tuple(map(name_of, verzoeken)),
            contents=Counter((name_of(each), one) for each in verzoeken for one in digests(each)),
            withdrawn=withdrawn_of(verzoeken),
        )

    def secret(self, text: str) -> str:
        """A file with a secret."""
        path = self.world.directory / "sink.secret"
        path.write_text(f"{text}\n")
        return str(path)


class OfCases(BackEnd):
    """A back-end that has one case for each verzoek, and in it each document once, whatever number of messages."""

    def expected(self, announced: Sequence[Announced]) -> Arrived:
        verzoeken = [each.verzoek for each in announced]
        return Arrived(
            messages=tuple(map(name_of, verzoeken)),
            contents=Counter({(each.verzoeknummer, one) for each in verzoeken for one in digests(each)}),
            cases=Counter({each.verzoeknummer for each in verzoeken}),
            withdrawn=withdrawn_of(verzoeken),
        )


class OfMessages(BackEnd):
    """A back-end that gets messages as they are, each by its MessageId."""

    flow = "message"

    def expected(self, announced: Sequence[Announced]) -> Arrived:
        return Arrived(
            messages=tuple(each.sent.message_id for each in announced),
            contents=Counter(
                (each.sent.message_id, self.form(notification_xml(each.verzoek))) for each in announced
            ),
        )

    def form(self, payload: bytes) -> str:
        """What of a payload has to come across, as a digest."""
        return digest(payload)


def withdrawn_of(verzoeken: Iterable[SimulatedVerzoek]) -> frozenset[str]:
    return frozenset(one.verzoeknummer for one in verzoeken if one.spec.doel == Doel.INTREKKEN)


def of_manifests(manifests: Sequence[tuple[str, Any]]) -> Arrived:
    """What deliveries with these names and manifests have."""
    return Arrived(
        messages=tuple(name for name, _ in manifests),
        contents=Counter((name, file["sha256"]) for name, one in manifests for file in one["files"]),
        withdrawn=frozenset(one["verzoeknummer"] for _, one in manifests if one["doel"] == Doel.INTREKKEN),
    )


def berichten_in(found: Iterable[bytes]) -> list[Verzoekbericht]:
    """The verzoekberichten among contents."""
    return [read_verzoekbericht(one) for one in found if one.startswith(b"<?xml")]


def names_of(berichten: Iterable[Verzoekbericht]) -> tuple[str, ...]:
    return tuple(f"{one.verzoeknummer}-{one.volgnummer}" for one in berichten)


def withdrawn_in(berichten: Iterable[Verzoekbericht]) -> frozenset[str]:
    """The verzoeken that verzoekberichten withdraw."""
    return frozenset(one.verzoeknummer for one in berichten if one.known_doel is Doel.INTREKKEN)
