# SPDX-License-Identifier: EUPL-1.2

"""The pages of evidence have what is asked for, need nothing outside themselves, and keep what is hostile as text."""

import re
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from adapter.connecting import (
    Evidence,
    Folder,
    FolderProblem,
    Outcome,
    Remark,
    Step,
    Subject,
    Trouble,
    missing_before_production,
)
from adapter.connecting.evidence import Happened, MessageFacts, failed, redact
from adapter.connecting.page import read_page, render
from adapter.connecting.words import TABLES, words
from adapter.rendering import Language
from tests.connecting.conftest import NOON, with_result

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--"


def full(evidence: Evidence, text: str = "tekst") -> Evidence:
    """Evidence of which every text is the same."""
    message = MessageFacts(
        kind=text, direction="in", message_id=text, conversation_id=text, state=text, at=NOON
    )
    return with_result(
        replace(evidence, subject=replace(evidence.subject, name=text, partner=text, cpa_id=text)),
        outcome=Outcome.FAILED,
        trouble=Trouble.NO_PONG,
        reason=text,
        at=NOON,
        verzoeknummer=text,
        messages=(message,),
        facts={"sink": text, "unknown": text, "octets": 12},
        files=({"kind": text, "size": 5, "content_type": text, "sha256": None},),
        remarks=(Remark("error", text),),
        timeline=(Happened(NOON, text),),
    )


def elements(page: str) -> list[html.HtmlElement]:
    return [one for one in html.document_fromstring(page.encode()).iter() if isinstance(one.tag, str)]


def test_a_page_has_what_dso_beheer_asks_for(evidence: Evidence) -> None:
    text = re.sub(
        r"\s+", " ", html.document_fromstring(render(full(evidence, "2023073100048"))).text_content()
    )
    for wanted in (
        "Stap 3 van 5: Ping en Pong",
        "PRE",
        "00000001001100415000",
        "CN=voorbeeldstad",
        "cd" * 32,
        "ab" * 32,
        "1.2.3",
        "01-07-2026 14:00:05 CEST",
        "2026-07-01T12:00:05Z",
        "2023073100048",
        "niet gelukt",
        "Vraag DSO-beheer of zij deze CPA in gebruik hebben",
    ):
        assert wanted in text


def test_a_page_is_written_in_english_too(evidence: Evidence) -> None:
    text = render(replace(evidence, language=Language.EN))
    assert '<html lang="en">' in text
    assert "Evidence of connecting" in text


def test_a_page_needs_nothing_outside_itself(evidence: Evidence) -> None:
    page = render(full(evidence))
    for element in elements(page):
        assert element.tag not in {
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "audio",
            "video",
            "base",
            "form",
        }
        assert not {"src", "href", "action", "srcset"} & set(element.attrib), element.tag
    (style,) = (one.text or "" for one in elements(page) if one.tag == "style")
    assert "@media print" in style
    assert "A4" in style
    assert "url(" not in style
    assert "@import" not in style


def test_what_a_partner_chose_stays_text(evidence: Evidence) -> None:
    hostile = full(evidence, HOSTILE)
    page = render(hostile)
    found = elements(page)
    (script,) = (one for one in found if one.tag == "script")
    assert script.get("type") == "application/json"
    assert not [one for one in found if one.tag == "img" or any(name.startswith("on") for name in one.attrib)]
    assert HOSTILE in html.document_fromstring(page.encode()).text_content()
    assert read_page(page.encode()) == hostile


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_a_page_has_is_read_back_as_it_was(text: str) -> None:
    found = full(EVIDENCE, text)
    assert read_page(render(found).encode()) == found


EVIDENCE = Evidence(
    step=Step.VERZOEK,
    subject=Subject(
        environment="test",
        authority="a",
        name="n",
        party="p",
        oin="o",
        partner="q",
        cpa_id="c",
        cpa_digest="d",
        certificate=None,
        version="v",
    ),
    result=failed(Trouble.NO_VERZOEK, "none"),
    started=NOON,
    ended=NOON,
    language=Language.NL,
)


@pytest.mark.parametrize(
    "octets", [b"", b"<html></html>", b"\0\xff", b"<script id=evidence type=application/json>{}"]
)
def test_a_page_without_evidence_has_none(octets: bytes) -> None:
    assert read_page(octets) is None


def test_both_languages_have_every_word() -> None:
    dutch, english = (words(language) for language in Language)
    assert set(dutch) == set(english) == set(TABLES)
    for table in TABLES:
        assert dutch[table].keys() == english[table].keys()
        assert all(dutch[table].values()), table
    assert set(dutch["advice"]) == set(Trouble)
    assert set(dutch["steps"]) == set(Step)
    assert set(dutch["outcomes"]) == set(Outcome)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("BSN 123456789 of jan@example.nl", "BSN (…) of (…)"),
        (
            "verzoek 2023073100048, OIN 00000001001100415000",
            "verzoek 2023073100048, OIN 00000001001100415000",
        ),
        ("octets \udcff and \0", "octets ? and "),
        ("brief.pdf: HTTP 404", "(…): HTTP 404"),
    ],
)
def test_what_may_be_personal_is_left_out(text: str, redacted: str) -> None:
    assert redact(text, ("brief.pdf",)) == redacted


def test_a_page_stands_under_a_name_that_says_what_it_is(evidence: Evidence, tmp_path: Path) -> None:
    path = Folder(tmp_path).write(evidence)
    assert path.name == "voorbeeldstad-pre-3-ping.html"
    assert Folder(tmp_path).read(Step.PING, "pre", "voorbeeldstad") == evidence
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_page_that_showed_success_is_kept_when_another_comes(evidence: Evidence, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(evidence)
    before = folder.path(Step.PING, "pre", "voorbeeldstad").read_bytes()
    folder.write(with_result(evidence, outcome=Outcome.FAILED, trouble=Trouble.NO_PONG))
    folder.write(evidence)
    (kept,) = (tmp_path / "earlier").iterdir()
    assert kept.read_bytes() == before


def test_the_index_leads_to_the_pages_of_every_authority_and_environment(
    evidence: Evidence, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    other = replace(evidence.subject, environment="prod", authority="dorp-1")
    pages = [folder.write(evidence), folder.write(replace(evidence, subject=other, step=Step.CPA))]
    (tmp_path / "een-ander-3-ding.html").write_text("<html></html>")
    index = html.document_fromstring(folder.write_index(NOON + timedelta(days=1)).read_bytes())
    assert {one.get("href") for one in index.iter("a")} == {page.name for page in pages}
    assert "Nog niet alle stappen zijn gelukt" in index.text_content()


def test_the_index_says_when_all_steps_are_done(evidence: Evidence, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for step in Step:
        folder.write(replace(evidence, step=step))
    assert "Alle stappen zijn gelukt" in folder.write_index(NOON).read_text()


def test_production_comes_after_pre_production(evidence: Evidence, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    production = replace(evidence.subject, environment="prod")
    for step in (Step.CPA, Step.PUBLISH, Step.PING):
        folder.write(replace(evidence, step=step))
    folder.write(with_result(replace(evidence, step=Step.VERZOEK), outcome=Outcome.FAILED))
    assert list(missing_before_production(folder, production)) == [Step.NOTIFICATION, Step.VERZOEK]
    assert list(missing_before_production(folder, evidence.subject)) == []


def test_the_templates_and_words_are_in_the_package() -> None:
    root = Path(__file__).parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {path for pattern in patterns["adapter"] for path in (root / "adapter").glob(pattern)}
    there = {path for path in (root / "adapter" / "connecting").iterdir() if path.is_file()}
    assert there - packaged == {path for path in there if path.suffix == ".py"}


def test_a_directory_that_cannot_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderProblem, match="choose another directory"):
        Folder(tmp_path / "file" / "below").prepare()
