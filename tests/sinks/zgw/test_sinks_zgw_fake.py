# SPDX-License-Identifier: EUPL-1.2

"""The fake server answers what a real one answered."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from adapter.sinks.zgw.token import signed
from adapter.work import utc_now
from tests.sinks.zgw.fake import CLIENT_ID, SECRET, FakeZgw

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "zgw" / "openzaak-recorded-exchanges.jsonl"
ORIGIN = "http://localhost:8003"
# What differs with the moment, the object or the configuration of a type.
OF_THE_SERVER = {
    "url", "uuid", "registratiedatum", "laatstGemuteerd", "uiterlijkeEinddatumAfdoening", "beginRegistratie",
    "identificatie", "inhoud", "instance", "type", "informatieobject", "zaak", "reason",
}  # fmt: skip


def recorded() -> Iterator[Any]:
    for line in RECORDED.read_text().splitlines():
        yield json.loads(line)


def uuid_of(url: str) -> str:
    return url.rpartition("/")[2]


def furnish_as_recorded(fake: FakeZgw, exchanges: list[Any]) -> None:
    """The types that the recorded requests name, under the same addresses."""
    bodies = [one["request"] for one in exchanges]

    def named(key: str) -> str:
        return uuid_of(next(body[key] for body in bodies if key in body))

    kind = fake.types.add(
        "informatieobjecttypen",
        named("informatieobjecttype"),
        omschrijving="Bijlage",
        vertrouwelijkheidaanduiding="openbaar",
    )
    zaaktype = fake.types.add(
        "zaaktypen",
        named("zaaktype"),
        identificatie="T",
        vertrouwelijkheidaanduiding="intern",
        informatieobjecttypen=[kind],
    )
    fake.types.add("statustypen", named("statustype"), zaaktype=zaaktype, isEindstatus=False)
    rol = {"omschrijving": "Initiator", "omschrijvingGeneriek": "initiator"}
    fake.types.add("roltypen", named("roltype"), zaaktype=zaaktype, **rol)
    other = exchanges[-1]["request"]["zaak"]  # made in another recording than the first five are of
    zaak = {"identificatie": "ANDER", "bronorganisatie": "000000000"}
    fake.zaken.add("zaken", {**zaak, "zaaktype": fake.types.url_of("zaaktypen", zaaktype)}, uuid_of(other))


def same(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    if isinstance(theirs, Mapping):
        for key in theirs:
            if key not in ours:
                yield f"{where}.{key} is not there"
            elif key not in OF_THE_SERVER:
                yield from same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{where}: {ours} is not {theirs}"
            return
        for one, other in zip(ours, theirs, strict=True):
            yield from same(one, other, where)
    elif where.endswith("datumStatusGezet"):
        return
    elif ours != theirs:
        yield f"{where}: {ours!r} is not {theirs!r}"


def token(secret: str = SECRET, age: int | None = 0, client: str = CLIENT_ID) -> str:
    """A token of `age` seconds, negative for one of the future; None for one that does not say."""
    claims = {"iss": client, "client_id": CLIENT_ID, "user_id": "t", "user_representation": "t"}
    moment = {} if age is None else {"iat": int(utc_now().timestamp()) - age}
    return f"Bearer {signed({**claims, **moment}, secret.encode())}"


ZAKEN = "/zaken/api/v1/zaken"


async def asked(directory: Path, path: str, **headers: str) -> tuple[int, str | None]:
    """The status and the code of the answer to a GET, from a server of the Catalogi API before 1.2."""
    async with FakeZgw(directory, version="1.1.0").serving() as fake, ClientSession() as session:
        sent = {"Authorization": token(), **headers}
        async with session.get(fake.address + path, headers=sent) as response:
            answer = await response.json(content_type=None)
            return response.status, answer.get("code")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "iets anders"}, "invalid-jwt-signature"),
        ({"age": None}, "jwt-missing-iat-claim"),
        ({"age": 3600}, "jwt-expired"),
        ({"age": -600}, "jwt-not-yet-valid"),
        ({"client": "een ander"}, "invalid-client-identifier"),
    ],
    ids=str,
)
async def test_it_refuses_a_token_that_real_servers_refuse(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    assert await asked(tmp_path, ZAKEN, Authorization=token(**changes)) == (403, code)


async def test_it_refuses_who_does_not_say_who_it_is(tmp_path: Path) -> None:
    assert await asked(tmp_path, ZAKEN, Authorization="") == (401, "not_authenticated")


@pytest.mark.parametrize(
    ("crs", "answer"),
    [
        (None, (412, "precondition_failed")),
        ("EPSG:28992", (406, "not_acceptable")),
        ("EPSG:4326", (200, None)),
    ],
)
async def test_it_insists_on_the_crs(tmp_path: Path, crs: str | None, answer: tuple[int, str | None]) -> None:
    headers = {} if crs is None else {"Accept-Crs": crs}
    assert await asked(tmp_path, ZAKEN, **headers) == answer


@pytest.mark.parametrize(
    "path", [f"{ZAKEN}?kenmerk=1", "/catalogi/api/v1/zaaktypen?datumGeldigheid=2026-01-01"]
)
async def test_it_refuses_parameters_that_the_standard_does_not_have(tmp_path: Path, path: str) -> None:
    assert await asked(tmp_path, path, **{"Accept-Crs": "EPSG:4326"}) == (400, "invalid")


@pytest.mark.skipif(not RECORDED.is_file(), reason="the recording stands beside the repository")
async def test_it_answers_what_a_real_server_answered(tmp_path: Path) -> None:
    exchanges = list(recorded())
    ours_for_theirs: dict[str, str] = {}
    async with FakeZgw(tmp_path, origin=ORIGIN).serving() as fake, ClientSession() as session:
        furnish_as_recorded(fake, exchanges)
        for exchange in exchanges:
            body = json.dumps(exchange["request"]).replace("2026-08-17", "2025-08-17")
            for theirs, ours in ours_for_theirs.items():
                body = body.replace(theirs, ours)
            headers = {name: values[0] for name, values in exchange["request_headers"].items()}
            headers["Authorization"] = token()
            async with session.post(fake.address + exchange["path"], data=body, headers=headers) as response:
                answer = await response.json(content_type=None)
                assert response.status == exchange["status"], answer
                expected = json.loads(json.dumps(exchange["response"]).replace("2026-08-17", "2025-08-17"))
                assert list(same(answer, expected)) == []
                assert {name.lower() for name in exchange["response_headers"]} <= {
                    name.lower() for name in response.headers
                }
            if response.status == 201:
                ours_for_theirs[exchange["response"]["url"]] = answer["url"]
    assert len(exchanges) == 6
