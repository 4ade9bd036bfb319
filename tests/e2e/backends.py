"""A back-end for each type of sink, and what arrived there, told in the same words for all of them."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from adapter.simulator import SentMessage, SimulatedVerzoek
from adapter.verzoek import Doel, Verzoekbericht, read_verzoekbericht
from tests.e2e.way import Way
from tests.s3 import Bucket
from tests.sinks.buckets import Consumer, options_of
from tests.sinks.zgw.fake import FakeZgw
from tests.sinks.zgw.house import contents, furnish
from tests.sinks.zgw.house import table as zgw_table


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
    """What is at the end of a chain; `way` leads to it, where it speaks HTTP."""

    flow: ClassVar[str] = "stam"
    is_http: ClassVar[bool] = True

    def __init__(self, directory: Path, bucket: Bucket | None = None) -> None:
        self.directory = directory
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
            withdrawn=_withdrawn(verzoeken),
        )

    def secret(self, text: str) -> str:
        """A file with a secret."""
        path = self.directory / "sink.secret"
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
            withdrawn=_withdrawn(verzoeken),
        )


def _withdrawn(verzoeken: Iterable[SimulatedVerzoek]) -> frozenset[str]:
    return frozenset(one.verzoeknummer for one in verzoeken if one.spec.doel == Doel.INTREKKEN)


def _of_manifests(manifests: Sequence[tuple[str, Any]]) -> Arrived:
    """What deliveries with these names and manifests have."""
    return Arrived(
        messages=tuple(name for name, _ in manifests),
        contents=Counter((name, file["sha256"]) for name, one in manifests for file in one["files"]),
        withdrawn=frozenset(one["verzoeknummer"] for _, one in manifests if one["doel"] == Doel.INTREKKEN),
    )


def _berichten(found: Iterable[bytes]) -> list[Verzoekbericht]:
    """The verzoekberichten among contents."""
    return [read_verzoekbericht(one) for one in found if one.startswith(b"<?xml")]


def _names(berichten: Iterable[Verzoekbericht]) -> tuple[str, ...]:
    return tuple(f"{one.verzoeknummer}-{one.volgnummer}" for one in berichten)


class DirectoryBackEnd(BackEnd):
    """A directory, with what was delivered there in the order of its manifests."""

    is_http = False

    @property
    def path(self) -> Path:
        """Where it is delivered."""
        return self.directory / "verzoeken" / "voorbeeldstad"

    def table(self) -> dict[str, Any]:
        return {"type": "directory", "path": str(self.path)}

    async def arrived(self) -> Arrived:
        complete = [path for path in self.path.iterdir() if not path.name.startswith(".")]
        complete.sort(key=lambda path: (path / "manifest.json").stat().st_mtime_ns)
        manifests = [(path.name, json.loads((path / "manifest.json").read_bytes())) for path in complete]
        found = Counter(
            (path.name, digest(file.read_bytes()))
            for path in complete
            for file in path.rglob("*")
            if file.is_file() and file.name != "manifest.json"
        )
        arrived = _of_manifests(manifests)
        assert arrived.contents == found
        return arrived


class BucketBackEnd(BackEnd):
    """A bucket of a real server."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        assert self.bucket is not None
        yield self.bucket.server.url

    def table(self) -> dict[str, Any]:
        assert self.bucket is not None
        return {
            "type": "s3",
            "url": self.bucket.payloads,
            **self.bucket.settings(self.directory, endpoint=self.url),
        }

    async def arrived(self) -> Arrived:
        assert self.bucket is not None
        found = await Consumer(options_of(self.bucket, self.directory)).deliveries()
        moments = {
            path.parent.name: path.stat().st_mtime_ns
            for path in self.bucket.objects()
            if path.name == "manifest.json"
        }
        complete = sorted(found.items(), key=lambda one: moments[one[0]])
        arrived = _of_manifests([(name, json.loads(files["manifest.json"])) for name, files in complete])
        assert arrived.contents == Counter(
            (name, digest(content))
            for name, files in complete
            for path, content in files.items()
            if path != "manifest.json"
        )
        return arrived


class ZgwBackEnd(OfCases):
    """A server with the ZGW APIs."""

    fake: FakeZgw

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        place = self.directory / "zgw"
        place.mkdir()
        async with FakeZgw(place, origin=self.url, part_size=64 * 1024).serving() as self.fake:
            furnish(self.fake)
            yield self.fake.address

    def table(self) -> dict[str, Any]:
        wanted = zgw_table(self.fake, self.directory)
        apis = {api: f"{self.url}/{api}/api/v1" for api in ("zaken", "documenten", "catalogi")}
        return {**wanted, **apis, "inline": "64 KiB", "wait": "1s"}

    async def arrived(self) -> Arrived:
        zaken = {one["url"]: _verzoeknummer(one) for one in self.fake.made("zaken")}
        documents = {one["url"]: one for one in self.fake.made("enkelvoudiginformatieobjecten")}
        related = self.fake.made("zaakinformatieobjecten")
        assert {one["informatieobject"] for one in related} == documents.keys()
        assert not any(one["locked"] for one in documents.values())
        withdrawn = {
            self.fake.types.url_of("statustypen", one)
            for one in self.fake.types.objects["statustypen"].values()
            if one["omschrijving"] == "Ingetrokken"
        }
        return Arrived(
            messages=_names(_berichten(contents(self.fake))),
            contents=Counter(
                (zaken[one["zaak"]], digest(self.fake.documents.content(documents[one["informatieobject"]])))
                for one in related
            ),
            cases=Counter(zaken.values()),
            withdrawn=frozenset(
                zaken[one["zaak"]] for one in self.fake.made("statussen") if one["statustype"] in withdrawn
            ),
        )


def _verzoeknummer(zaak: dict[str, Any]) -> str:
    """The verzoeknummer among the kenmerken of a zaak."""
    (kenmerk,) = (one for one in zaak["kenmerken"] if one["bron"] == "DSO-LV verzoeknummer")
    return str(kenmerk["kenmerk"])


BACK_ENDS: dict[str, type[BackEnd]] = {
    "directory": DirectoryBackEnd,
    "s3": BucketBackEnd,
    "zgw": ZgwBackEnd,
}
