# SPDX-License-Identifier: EUPL-1.2

"""CPAs on the status page: read, checked, with their history, and taken along octet for octet."""

import pytest

from adapter.store import (
    AgreementSource,
    AuditFilter,
    agreement_versions,
    find_audit,
    put_agreement,
    withdraw_agreement,
)
from tests.admin.house import Api
from tests.admin.pages.house import Browser


def document(api: Api, name: str = "stad") -> bytes:
    return api.authority(name).cpa_path.read_bytes()


async def test_agreements_are_listed_those_in_use_first(api: Api, browser: Browser) -> None:
    await api.db.write(withdraw_agreement, api.authority("dorp").cpa_id, api.clock())
    page = await browser.get("/cpas")
    first, second = page.find("//tbody/tr")
    assert api.authority("stad").cpa_id in first.text_content()
    assert "In use" in first.text_content()
    assert "Withdrawn" in second.text_content()
    assert len((await browser.get("/cpas?state=withdrawn")).find("//tbody/tr")) == 1
    assert len((await browser.get("/cpas?q=STAD")).find("//tbody/tr")) <= 2
    assert not (await browser.get("/cpas?q=niemand")).find("//tbody/tr")


async def test_an_agreement_is_read_with_its_parties_actions_and_certificates(
    api: Api, browser: Browser
) -> None:
    cpa_id = api.authority("stad").cpa_id
    page = await browser.get(f"/cpas/{cpa_id}")
    assert page.status == 200
    for said in (
        "DSO-LV (simulatie)",
        "verzoeknotificatie",
        "Channels",
        "Certificates",
        "signing",
        "TLS client",
    ):
        assert said in page.words
    (entry,) = await api.db.read(find_audit, AuditFilter(action="cpa.show"), 10)
    assert (entry.subject, entry.authority) == (cpa_id, "stad")


async def test_what_the_checks_find_is_on_the_page(api: Api, browser: Browser) -> None:
    page = await browser.get(f"/cpas/{api.authority('stad').cpa_id}")
    assert "port" in page.words
    assert "TRN-09" in page.words


async def test_a_document_that_cannot_be_read_says_why(api: Api, browser: Browser) -> None:
    await api.db.write(put_agreement, "stad", "kapot", b"<no", AgreementSource.UPLOAD, api.clock())
    page = await browser.get("/cpas/kapot")
    assert page.status == 200
    assert page.find("//*[contains(@class, 'alert--bad')]")


async def test_earlier_versions_stay_readable_and_downloadable(api: Api, browser: Browser) -> None:
    cpa_id, before = api.authority("stad").cpa_id, document(api)
    await api.db.write(put_agreement, "stad", cpa_id, before + b"\n", AgreementSource.UPLOAD, api.clock())
    newest, earlier = await api.db.read(agreement_versions, ["stad"], cpa_id)
    page = await browser.get(f"/cpas/{cpa_id}?version={earlier.id}")
    assert "This is an earlier version." in page.words
    assert "This is an earlier version." not in (await browser.get(f"/cpas/{cpa_id}")).words
    for version, octets in ((newest, before + b"\n"), (earlier, before)):
        found = await browser.get(f"/cpas/{cpa_id}/versions/{version.id}")
        assert found.text.encode() == octets
        assert found.headers["Content-Disposition"].startswith("attachment; filename=")
        assert found.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    entries = await api.db.read(find_audit, AuditFilter(action="cpa.fetch"), 10)
    assert [one.detail["sha256"] for one in entries] == [earlier.digest, newest.digest]


@pytest.mark.parametrize("place", ["", "?version=999", "/versions/999", "/versions/x"])
async def test_an_agreement_that_is_not_there_is_not_found(api: Api, browser: Browser, place: str) -> None:
    assert (await browser.get(f"/cpas/none{place}")).status == 404
    if place:
        assert (await browser.get(f"/cpas/{api.authority('stad').cpa_id}{place}")).status == 404


async def test_the_agreement_of_another_authority_is_not_there(api: Api, browser: Browser) -> None:
    cpa_id = api.authority("stad").cpa_id
    (version,) = await api.db.read(agreement_versions, ["stad"], cpa_id)
    assert cpa_id not in (await browser.get("/cpas", user="kijker")).text
    for place in ("", f"?version={version.id}", f"/versions/{version.id}"):
        assert (await browser.get(f"/cpas/{cpa_id}{place}", user="kijker")).status == 404
