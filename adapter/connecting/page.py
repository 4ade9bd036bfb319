# SPDX-License-Identifier: EUPL-1.2

"""Evidence as a page: HTML that needs nothing outside itself, fit to print, with the evidence in it as JSON.

Every text in it may come from a partner (the name of a party, the reason of a refusal), so the templates escape all of
them, and the page itself forbids whatever a browser might load or run.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from lxml import etree, html

from adapter.connecting.evidence import Evidence, Step, Subject, read_json, write_json
from adapter.connecting.words import advice, fact_words, outcome_word, page_words, step_title, value_words
from adapter.rendering import Language, templates_of

_ID: Final = "evidence"
_LARGEST: Final = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """The evidence of one authority in one environment, with the name of the file of each step."""

    subject: Subject
    evidence: Sequence[tuple[str, Evidence]]


def render(evidence: Evidence) -> str:
    """The page of a step, in the language of the evidence."""
    language, trouble = evidence.language, evidence.result.trouble
    document = json.loads(write_json(evidence))
    return (
        templates_of("adapter.connecting")
        .get_template("evidence.html.j2")
        .render(
            language=language,
            e=evidence,
            w=page_words(language),
            f=fact_words(language),
            v=value_words(language),
            title=step_title(evidence.step, language),
            outcome=outcome_word(evidence.result.outcome, language),
            advice=advice(trouble, language) if trouble is not None else None,
            steps=len(Step),
            raw=json.dumps(document["result"], indent=2, ensure_ascii=False),
            document=document,
        )
    )


def read_page(octets: bytes) -> Evidence | None:
    """The evidence in a page; None where it has none."""
    if not octets or len(octets) > _LARGEST:
        return None
    try:
        root = html.document_fromstring(octets, parser=html.HTMLParser(encoding="utf-8"))
    except (etree.ParserError, ValueError):
        return None
    found = root.xpath("//script[@type='application/json'][@id=$id]/text()", id=_ID)
    return read_json(str(found[0])) if isinstance(found, list) and len(found) == 1 else None


def render_index(listed: Sequence[Listed], language: Language, now: datetime) -> str:
    """The page that leads to those of the steps."""
    groups = [
        {
            "subject": group.subject,
            "rows": [_row(step, group, language) for step in Step],
            "complete": {e.step for _, e in group.evidence if e.shows(group.subject)} == set(Step),
        }
        for group in listed
    ]
    words = page_words(language)
    template = templates_of("adapter.connecting").get_template("index.html.j2")
    return template.render(language=language, w=words, groups=groups, now=now)


def _row(step: Step, group: Listed, language: Language) -> dict[str, object]:
    found = next(((file, one) for file, one in group.evidence if one.step is step), None)
    row: dict[str, object] = {"step": step, "title": step_title(step, language), "evidence": None}
    if found is None:
        return row
    file, evidence = found
    outcome = outcome_word(evidence.result.outcome, language)
    return {**row, "evidence": evidence, "outcome": outcome, "file": file, "href": quote(file)}
