# SPDX-License-Identifier: EUPL-1.2

import io
import re

import pytest

from adapter.store import AgreementSource, agreement_history, put_agreement
from tests.admin.house import Api


def document(api: Api, name: str = "stad") -> bytes:
    return api.authority(name).cpa_path.read_bytes()


def renamed(api: Api, cpa_id: str, name: str = "stad") -> bytes:
    return document(api, name).replace(api.authority(name).cpa_id.encode(), cpa_id.encode())


def both_ours(api: Api) -> bytes:
    """A CPA between our two authorities."""
    dso = "00000099000000001000"
    return renamed(api, "CPA-both").replace(dso.encode(), api.authority("dorp").oin.encode())


XML = {"Content-Type": "text/plain"}


async def test_the_list_has_the_agreements_in_use(api: Api) -> None:
    assert await api.json("/cpas") == [api.authority(name).cpa_id for name in ("dorp", "stad")]


async def test_a_cpa_comes_back_octet_for_octet(api: Api) -> None:
    response = await api.call("GET", f"/cpas/{api.authority('stad').cpa_id}")
    assert response.content_type == "text/plain"
    assert response.charset == "UTF-8"
    assert await response.read() == document(api)


async def test_an_unknown_cpa_is_not_found(api: Api) -> None:
    assert (await api.call("GET", "/cpas/CPA-none")).status == 404
    assert (await api.call("DELETE", "/cpas/CPA-none")).status == 404


async def test_an_uploaded_cpa_is_in_use_when_the_answer_comes(api: Api) -> None:
    response = await api.call("POST", "/cpas", data=renamed(api, "CPA/new 1"), headers=XML)
    assert response.status == 200, await response.text()
    assert response.content_type == "text/plain"
    assert await response.text() == "CPA/new 1"
    known = api.registry.current().find_agreement("CPA/new 1")
    assert known is not None
    assert known.authority == "stad"
    assert api.audits() == [("beheer", "cpa.put", "CPA/new 1")]
    assert (await api.call("GET", "/cpas/CPA%2Fnew%201")).status == 200
    history = await api.db.read(agreement_history, "CPA/new 1")
    assert [row.source for row in history] == [AgreementSource.UPLOAD]


async def test_a_cpa_that_exists_is_replaced_only_when_asked(api: Api) -> None:
    again = document(api).replace(b'="BevoegdGezag"', b'="BevoegdGezag" ', 1)
    response = await api.call("POST", "/cpas", data=again, headers=XML)
    assert response.status == 400
    assert "overwrite=true" in await response.text()
    for overwrite in ("true", "TRUE"):
        response = await api.call("POST", f"/cpas?overwrite={overwrite}", data=again, headers=XML)
        assert response.status == 200, await response.text()
    history = await api.db.read(agreement_history, api.authority("stad").cpa_id)
    assert [row.document for row in history] == [again, document(api)]


async def test_a_withdrawn_cpa_is_out_of_use_when_the_answer_comes(api: Api) -> None:
    cpa_id = api.authority("stad").cpa_id
    response = await api.call("DELETE", f"/cpas/{cpa_id}")
    assert response.status == 204
    assert api.registry.current().find_agreement(cpa_id) is None
    assert await api.json("/cpas") == [api.authority("dorp").cpa_id]
    assert api.audits() == [("beheer", "cpa.withdraw", cpa_id)]


async def test_a_sound_cpa_is_valid_and_nothing_is_changed_by_the_question(api: Api) -> None:
    response = await api.call(
        "POST", "/cpas/validate", data=renamed(api, "CPA-new"), headers=XML, user="kijker"
    )
    assert response.status == 204
    assert "CPA-new" not in await api.json("/cpas")
    assert api.audits() == []


@pytest.mark.parametrize("path", ["/cpas", "/cpas/validate"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "geen ärger".encode("latin-1"),
    ],
)
async def test_what_is_no_cpa_is_a_bad_request(api: Api, path: str, body: bytes) -> None:
    response = await api.call("POST", path, data=body, headers=XML)
    assert response.status == 400
    assert "root:" not in await response.text()


async def test_a_cpa_with_errors_is_told_every_one(api: Api) -> None:
    end = re.search(rb"<cpa:End>([^<]*)", document(api))
    assert end is not None
    body = renamed(api, "CPA-new").replace(end[1], b"2020-01-01T00:00:00Z")
    response = await api.call("POST", "/cpas", data=body, headers=XML)
    assert response.status == 400
    told = (await response.text()).splitlines()
    assert [line.split(": ")[0] for line in told] == ["CPA CPA-new has errors", "error", "error"]
    assert "CPA-new" not in await api.json("/cpas")


async def test_a_cpa_of_no_authority_of_the_user_is_refused(api: Api) -> None:
    strange = renamed(api, "CPA-new").replace(api.authority("stad").oin.encode(), b"00000099000000009000")
    response = await api.call("POST", "/cpas", data=strange, headers=XML)
    assert response.status == 400
    assert "no authority of yours" in await response.text()


async def test_a_cpa_between_two_authorities_of_the_user_is_ambiguous(api: Api) -> None:
    response = await api.call("POST", "/cpas", data=both_ours(api), headers=XML)
    assert response.status == 400
    assert "dorp, stad are both parties" in await response.text()


async def test_the_owner_of_a_cpa_id_is_not_told(api: Api) -> None:
    await api.db.write(
        put_agreement, "dorp", "CPA-taken", document(api, "dorp"), AgreementSource.UPLOAD, api.clock()
    )
    response = await api.call("POST", "/cpas?overwrite=true", data=renamed(api, "CPA-taken"), headers=XML)
    assert response.status == 400
    assert "dorp" not in await response.text()


async def test_a_body_of_another_type_or_size_is_not_read(api: Api) -> None:
    assert (await api.call("POST", "/cpas", json={})).status == 415
    large = b"<a>" + b" " * (10 * 1024 * 1024) + b"</a>"
    assert (await api.call("POST", "/cpas", data=io.BytesIO(large), headers=XML)).status == 413


@pytest.mark.parametrize("overwrite", ["yes", "1"])
async def test_a_flag_is_true_or_false(api: Api, overwrite: str) -> None:
    response = await api.call("POST", f"/cpas?overwrite={overwrite}", data=document(api), headers=XML)
    assert response.status == 400


@pytest.mark.parametrize("path", ["/cpas/cache", "/urlMappings/cache", "/certificateMappings/cache"])
async def test_clearing_a_cache_succeeds_and_changes_nothing(api: Api, path: str) -> None:
    await api.call("POST", "/urlMappings", json={"source": "http://a.nl", "destination": "http://b.nl"})
    assert (await api.call("DELETE", path)).status == 204
    assert len(await api.json("/cpas")) == 2
    assert len(await api.json("/urlMappings")) == 1
