# SPDX-License-Identifier: EUPL-1.2

"""What the tests of the status page work with: a browser without JavaScript, and pages that are read as HTML."""

from dataclasses import dataclass
from typing import Any

import aiohttp
from lxml import html

from adapter.admin.pages.page import Page
from adapter.admin.pages.site import PAGES
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
        return Sight(response.status, response.headers, await response.text(), str(response.url.relative()))


def sample(page: Page, **variables: str) -> str:
    """The path of a page with something in the place of its variables."""
    path = page.path
    while "{" in path:
        name = path.partition("{")[2].partition("}")[0]
        path = path.replace(f"{{{name}}}", variables.get(name, "x"))
    return path


SHOWN = tuple(page for page in PAGES if page.method == "GET" and page.name != "events")
"""The pages that are to be seen."""
