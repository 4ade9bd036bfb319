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


@pytest.mark.skipif(not RECORDED.is_file(), reason="the recording stands beside the repository")
async def test_it_answers_what_a_real_server_answered(tmp_path: Path) -> None:
    exchanges = list(recorded())
    ours_for_theirs: dict[str, str] = {}
    now = int(utc_now().timestamp())
    claims = {
        "iss": CLIENT_ID,
        "client_id": CLIENT_ID,
        "iat": now,
        "user_id": "t",
        "user_representation": "t",
    }
    token = signed(claims, SECRET.encode())
    async with FakeZgw(tmp_path, origin=ORIGIN).serving() as fake, ClientSession() as session:
        furnish_as_recorded(fake, exchanges)
        for exchange in exchanges:
            body = json.dumps(exchange["request"]).replace("2026-08-17", "2025-08-17")
            for theirs, ours in ours_for_theirs.items():
                body = body.replace(theirs, ours)
            headers = {name: values[0] for name, values in exchange["request_headers"].items()}
            headers["Authorization"] = f"Bearer {token}"
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
