# SPDX-License-Identifier: EUPL-1.2

"""The audit trail on the status page: for those who administer, and no further than they do."""

import csv
import io

import pytest

from adapter.store import AuditEntry, AuditFilter, AuditKind, AuditVia, add_audit, find_audit
from tests.admin.house import Api
from tests.admin.pages.house import Browser


@pytest.fixture
async def noted(api: Api) -> None:
    """An entry of each authority, and one of none."""
    for authority in ("stad", "dorp", None):
        entry = AuditEntry(
            api.clock(),
            "=piet",
            AuditVia.COMMAND,
            "machine",
            AuditKind.CHANGE,
            f"test.{authority}",
            "m1",
            authority,
        )
        await api.db.write(add_audit, entry)


def actions(text: str) -> list[str]:
    return [name for name in ("test.stad", "test.dorp", "test.None") if name in text]


@pytest.mark.usefixtures("noted")
@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("beheer", ["test.stad", "test.dorp", "test.None"]),
        ("dorper", ["test.dorp"]),
        ("wissel", ["test.stad"]),
    ],
)
async def test_who_administers_sees_the_trail_of_these_authorities(
    browser: Browser, user: str, seen: list[str]
) -> None:
    assert actions((await browser.get("/audit", user=user)).text) == seen
    assert actions((await browser.get("/audit.csv", user=user)).text) == seen


@pytest.mark.usefixtures("noted")
@pytest.mark.parametrize("user", ["stad", "kijker", "hersteller"])
async def test_who_does_not_administer_does_not_see_it(browser: Browser, user: str) -> None:
    for path in ("/audit", "/audit.csv"):
        found = await browser.get(path, user=user)
        assert found.status == 403
        assert not actions(found.text)
    assert "/audit" not in (await browser.get("/", user=user)).links()


@pytest.mark.usefixtures("noted")
@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("authority=stad", ["test.stad"]),
        ("action=test.dorp", ["test.dorp"]),
        ("actor=jan", []),
        ("kind=look&via=command", []),
        ("outcome=done&subject=m1", ["test.stad", "test.dorp", "test.None"]),
        ("until=2001-01-01", []),
    ],
)
async def test_entries_are_found_by_what_they_say(browser: Browser, query: str, seen: list[str]) -> None:
    page = await browser.get(f"/audit?{query}")
    assert actions(" ".join(page.find("//tbody//code/text()"))) == seen


@pytest.mark.usefixtures("noted")
async def test_the_trail_is_a_table_for_a_spreadsheet_and_says_who_took_it(
    api: Api, browser: Browser
) -> None:
    found = await browser.get("/audit.csv?action=test.stad&outcome=done")
    (row,) = csv.DictReader(io.StringIO(found.text.removeprefix("\ufeff")))
    assert (row["Who"], row["Action"]) == ("'=piet", "test.stad")
    (entry,) = await api.db.read(find_audit, AuditFilter(action="audit.export"), 10)
    assert (entry.actor, entry.detail["asked"]) == ("beheer", "action=test.stad&outcome=done")
