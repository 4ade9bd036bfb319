# SPDX-License-Identifier: EUPL-1.2

"""The documentation as a site: it builds without a warning, has every page, and every link leads somewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from lxml import html
from pydantic import BaseModel

from adapter.config import Config
from release.options import model_of, models_in, options_reference, type_of
from tests.docs.tables import ROOT

Pages = Mapping[Path, html.HtmlElement]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(built)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return built


@pytest.fixture(scope="module")
def pages(site: Path) -> Pages:
    """Every page but that of an address that is not there, whose links start at the root of the server."""
    return {path: html.parse(path).getroot() for path in site.rglob("*.html") if path.name != "404.html"}


def links(page: html.HtmlElement) -> list[str]:
    found: list[str] = page.xpath("//a/@href | //link/@href | //img/@src | //script/@src")
    return found


def test_every_link_inside_leads_to_a_page_and_to_a_place_on_it(site: Path, pages: Pages) -> None:
    anchors = {path: set(page.xpath("//@id | //a/@name")) for path, page in pages.items()}
    dead = []
    for path, page in pages.items():
        for link in links(page):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target == site.resolve() or target.is_dir():
                target /= "index.html"
            wanted = unquote(parts.fragment)
            if not target.is_file() or (wanted and wanted not in anchors.get(target, set())):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 30
    assert dead == []


def test_links_to_elsewhere_are_https(pages: Pages) -> None:
    outside = {link for page in pages.values() for link in links(page) if urlsplit(link).scheme}
    odd = {link for link in outside if not re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(/[^\s]*)?", link)}
    assert len(outside) > 3
    assert odd == set()


def test_reading_a_page_asks_nobody_else(site: Path, pages: Pages) -> None:
    """No font, script, style or picture from another server, which would learn who reads what."""
    loaded = [
        f"{path.name}: {link}"
        for path, page in pages.items()
        for link in page.xpath(
            "//script/@src | //img/@src | //iframe/@src | //link[not(@rel='canonical')]/@href"
        )
        if urlsplit(link).netloc
    ]
    styles = [
        f"{style.name}: {link}"
        for style in site.rglob("*.css")
        for link in re.findall(r"url\(['\"]?((?:https?:)?//[^'\")]+)", style.read_text())
    ]
    assert loaded + styles == []


def test_every_document_is_in_the_contents_once(pages: Pages, site: Path) -> None:
    (page,) = (page for path, page in pages.items() if path == site / "index.html")
    listed = page.xpath(
        "//nav[contains(@class, 'md-nav--primary')]//a[contains(@class, 'md-nav__link')]/@href"
    )
    shown = sorted(link for link in listed if not link.startswith("#"))
    wanted = sorted(str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in documents())
    assert [link for link in wanted if shown.count(link) != 1] == []


def documents() -> list[Path]:
    return list((ROOT / "docs").rglob("*.md"))


def test_what_is_written_as_code_is_shown_as_code(pages: Pages) -> None:
    stray = [
        f"{path.name}: {text.strip()[:60]}"
        for path, page in pages.items()
        for text in page.xpath("//article//text()[not(ancestor::pre) and not(ancestor::code)]")
        if re.search(r"```|\]\(|\*\*|^\| ", text)
    ]
    assert stray == []


# --- the reference of the configuration


def rows(text: str) -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """Of each table, each option with what it takes and its default."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for part in text.split("\n### "):
        name = re.match(r"(?:### )?`\[+([^`]+?)\]+`", part)
        table = found.setdefault(name[1] if name else "", {})
        for row in re.findall(r"(?m)^\| (`.*) \|$", part):
            cells = re.split(r" (?<!\\)\| ", row)
            columns = [cell.split("<br>") for cell in cells[:3]]
            assert len({len(column) for column in columns}) == 1, row
            table |= {key.strip("`"): (takes, default) for key, takes, default in zip(*columns, strict=True)}
    return found


def test_the_reference_has_each_option_of_each_table_with_what_it_takes_and_its_default() -> None:
    reference = rows(options_reference())
    wrong = []
    for name, options in reference.items():
        model = model_of(name)
        assert model is not None
        for attribute, field in model.model_fields.items():
            key = field.alias or attribute
            takes, default = options.get(key, ("", ""))
            is_table = next(models_in(field.annotation), None) is not None or key == "sinks"
            if not is_table and (takes != type_of(field) or (default == "required") != field.is_required()):
                wrong.append(f"[{name}] {key}: {takes}, {default}")
    assert wrong == []


def test_the_reference_has_every_table() -> None:
    def tables(model: type[BaseModel]) -> set[type[BaseModel]]:
        inner = {one for field in model.model_fields.values() for one in models_in(field.annotation)}
        return {model}.union(*(tables(one) for one in inner))

    shown = {model_of(name) for name in rows(options_reference())}
    assert {model.__name__ for model in tables(Config)} - {
        model.__name__ for model in shown if model
    } == set()


def test_every_table_of_the_reference_says_what_it_is_for(pages: Pages, site: Path) -> None:
    (page,) = (page for path, page in pages.items() if path == site / "configuration.html")
    headings = page.xpath("//article//h3[starts-with(., '[')]")
    assert len(headings) > 20
    silent = []
    for heading in headings:
        (*said,) = heading.itersiblings()
        following = said[: next((n for n, one in enumerate(said) if one.tag in {"h2", "h3"}), len(said))]
        text = " ".join(one.text_content() for one in following if one.tag == "p")
        cells = [cell.text_content() for one in following for cell in one.xpath(".//td[4]")]
        if not text and not all(cell.strip() for cell in cells):
            silent.append(heading.text_content())
    assert silent == []
