# SPDX-License-Identifier: EUPL-1.2

"""Where the pages of the status page are: found by following links from the overview, as a visitor finds them."""

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from urllib.parse import urljoin

from lxml import html
from playwright.sync_api import APIRequestContext

from adapter.admin.pages.page import Page
from adapter.admin.pages.site import PAGES

GONE_TO = tuple(page for page in PAGES if page.method == "GET" and page.name != "events")
"""What links and forms lead to: to be seen, or to be taken along."""

_ENOUGH = 5

_PATTERNS = [(page, re.compile(re.sub(r"\{\w+\}", "[^/]+", page.path))) for page in GONE_TO]


def page_at(path: str) -> Page | None:
    """What is served at a path."""
    return next((page for page, pattern in _PATTERNS if pattern.fullmatch(path.partition("?")[0])), None)


def crawl(request: APIRequestContext, url: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """A path of each page that is to be seen, and of each download, by name: of the first few the fullest."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    seen: set[str] = set()
    waiting = deque(["/"])
    while waiting:
        path = waiting.popleft()
        page = page_at(path)
        assert page is not None, f"a link leads to {path}, where there is nothing"
        if path in found[page.name] or len(found[page.name]) == _ENOUGH:
            continue
        answer = request.get(url + path)
        assert answer.ok, f"{answer.status} at {path}"
        found[page.name][path] = len(answer.body())
        if "text/html" in answer.headers["content-type"]:
            seen.add(page.name)
            waiting.extend(_links(answer.text(), url + path, url))
    fullest = {name: max(sizes, key=sizes.__getitem__) for name, sizes in found.items()}
    downloads = {name: path for name, path in fullest.items() if name not in seen}
    return {name: fullest[name] for name in fullest if name in seen}, downloads


def _links(text: str, here: str, url: str) -> list[str]:
    """The paths of links, and of the buttons that ask for a page."""
    document = html.document_fromstring(text)
    found = [
        str(one) for one in document.xpath("//main//a/@href | //nav//a/@href") if not str(one).startswith("#")
    ]
    found += [
        f"{button.get('formaction')}?{button.get('name')}={button.get('value')}"
        for button in document.xpath("//button[@formmethod='get'][@name]")
    ]
    return [place.removeprefix(url) for one in found if (place := urljoin(here, one)).startswith(url)]
