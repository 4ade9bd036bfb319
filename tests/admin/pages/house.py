# SPDX-License-Identifier: EUPL-1.2

"""What the tests of the status page work with: a browser without JavaScript, and pages that are read as HTML."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
from lxml import html

from adapter.admin.pages.page import Page
from adapter.admin.pages.site import PAGES
from adapter.store import (
    Database,
    DeliveryState,
    FileFacts,
    FileKind,
    Flow,
    Job,
    JobKind,
    NewDelivery,
    NewFile,
    NewJob,
    Origin,
    VerzoekFacts,
    claim_jobs,
    complete_collection,
    complete_delivery,
    create_delivery,
    delivery_files,
    finish_job,
    park_job,
    record_file,
    record_references,
)
from tests.admin.house import TOKENS, Api

BROWSER = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
}


@dataclass
class Sight:
    """A page as it came."""

    status: int
    headers: Any
    text: str
    url: str

    @property
    def document(self) -> html.HtmlElement:
        return html.document_fromstring(self.text)

    @property
    def words(self) -> str:
        """What is to be read in the page, with single spaces."""
        return " ".join(self.document.body.text_content().split())

    def find(self, path: str) -> list[Any]:
        found = self.document.xpath(path)
        assert isinstance(found, list)
        return found

    def links(self) -> list[str]:
        return [str(href) for href in self.find("//a/@href") if not str(href).startswith("#")]


@dataclass
class Browser:
    """Goes to pages as a user, `beheer` unless said otherwise, with no JavaScript."""

    api: Api

    async def get(
        self, path: str, *, user: str | None = "beheer", language: str = "en", **headers: str
    ) -> Sight:
        return await self._go("GET", path, user, {"Accept-Language": language, **headers}, None)

    async def post(
        self, path: str, fields: dict[str, str] | None = None, *, user: str = "beheer", **headers: str
    ) -> Sight:
        """Send a form, and go where that leads."""
        return await self._go("POST", path, user, {"Accept-Language": "en", **headers}, fields or {})

    async def _go(
        self, method: str, path: str, user: str | None, headers: dict[str, str], fields: dict[str, str] | None
    ) -> Sight:
        sent = BROWSER | headers
        if user is not None:
            sent["Authorization"] = aiohttp.encode_basic_auth(user, TOKENS[user], "utf-8")
        response = await self.api.client.request(method, path, headers=sent, data=fields)
        text = (await response.read()).decode("utf-8", "replace")  # a download can be anything
        return Sight(response.status, response.headers, text, str(response.url.relative()))


def sample(page: Page, **variables: str) -> str:
    """The path of a page with something in the place of its variables."""
    path = page.path
    while "{" in path:
        name = path.partition("{")[2].partition("}")[0]
        path = path.replace(f"{{{name}}}", quote(variables.get(name, "x"), safe=""))
    return path


SHOWN = tuple(page for page in PAGES if page.method == "GET" and page.name != "events")
"""The pages that are to be seen."""


EVIL = "<script>alert('x')</script>\"&"
"""What a partner might choose as the name of anything."""


async def verzoek(
    api: Api,
    number: str,
    authority: str = "stad",
    *,
    state: DeliveryState = DeliveryState.DELIVERED,
    reason: str = "the sink is full",
    name: str = "situatie.pdf",
    doel: str = "Aanvraag vergunning",
    at: datetime | None = None,
    project: str | None = None,
) -> int:
    """A verzoek that came as far as a state, or was parked when it was to be delivered; the row of its delivery."""
    now = at or api.clock()
    db = api.db
    new = NewDelivery(
        authority=authority,
        sink="archief",
        flow=Flow.STAM,
        origin=Origin.NOTIFICATION,
        verzoeknummer=number,
        announced="1",
    )
    row = await db.write(create_delivery, new, NewJob(JobKind.COLLECT, f"dso:{authority}"), now)
    if state is DeliveryState.COLLECTING:
        return row
    references = (NewFile(FileKind.VERZOEK, href="/v"), NewFile(FileKind.DOCUMENT, href="/d"))
    await db.write(record_references, row, references, now)
    files = await db.read(delivery_files, row)
    for file, octets in zip(files, (b"<verzoek/>", b"document"), strict=True):
        await db.write(record_file, file.id, await api.spooled(octets), "text/xml", now)
    facts = VerzoekFacts("1", doel=doel, type="Aanvraag", project_id=project)
    named = (
        FileFacts(files[0].id, FileKind.VERZOEK, "verzoek.xml"),
        FileFacts(files[1].id, FileKind.DOCUMENT, name, name),
    )
    collecting = await claimed(db, JobKind.COLLECT, now)
    deliver = NewJob(JobKind.DELIVER, f"sink:{authority}/archief")
    await db.write(complete_collection, row, facts, named, deliver, collecting, now, f"{number}-1")
    if state is DeliveryState.READY:
        return row
    delivering = await claimed(db, JobKind.DELIVER, now)
    if state is DeliveryState.PARKED:
        await db.write(park_job, delivering, reason, now)
    else:
        await db.write(complete_delivery, row, DeliveryState.READY, now, reference="ZAAK-1")
        await db.write(finish_job, delivering)
    return row


async def claimed(db: Database, kind: str, now: datetime) -> Job:
    """The youngest job of a kind, as a worker has it."""
    jobs = await db.write(claim_jobs, "w1", now, timedelta(seconds=60), 100, (), (kind,))
    return max(jobs, key=lambda job: job.id)
