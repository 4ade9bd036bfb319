# SPDX-License-Identifier: EUPL-1.2

"""The configuration of a zgw sink: which verzoek gets which zaaktype, what is refused, and what `check` says."""

from typing import Any

import pytest

from adapter.config import Environment
from adapter.delivery import Permanent, SinkProblem, StepFailed, make_sink
from adapter.pki import ThrowawayPki
from adapter.simulator import VerzoekSpec, make_verzoek
from adapter.sinks.naming import bounded, identificatie
from adapter.sinks.rules import rule_for
from adapter.sinks.zgw import ZGW, ZgwOptions
from adapter.verzoek import Verzoekbericht, read_verzoekbericht
from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.zgw.fake import FakeZgw
from tests.sinks.zgw.house import NUMBER, OIN, attempt, context_of, handed_over, sink_of, table


def verzoek(**changes: Any) -> Verzoekbericht:
    return read_verzoekbericht(make_verzoek(VerzoekSpec(NUMBER, OIN, activities=1, **changes)).xml)


def chosen(bericht: Verzoekbericht, *rules: dict[str, Any]) -> str:
    types = {"verzoek": "A", "pdf": "A", "document": "B"}
    options = ZgwOptions.model_validate(
        {
            **{api: f"https://zgw.example/{api}" for api in ("zaken", "documenten", "catalogi")},
            "client_id": "c",
            "secret_file": "/s",
            "bronorganisatie": "123456782",
            "catalogus": {"url": "https://zgw.example/catalogussen/1"},
            "informatieobjecttypen": types,
            "zaaktypen": rules,
        }
    )
    return rule_for(bericht, "zaaktypen", options.zaaktypen).zaaktype


def activity() -> tuple[str, str]:
    (one,) = verzoek().projectactiviteiten
    assert one.imow_id is not None
    assert one.activiteitnaam is not None
    return one.imow_id, one.activiteitnaam


OTHER = {"zaaktype": "ANDER"}


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "melding"},
        {"type": ["Informatie", "Melding"]},
        {"doel": "Vooroverleg"},
        {"doel": ["Initieren", "Conceptverzoek"]},
        {"activiteit": activity()[0]},
        {"activiteit": ["iets", activity()[1].upper()]},
        {"type": "Melding", "doel": "Conceptverzoek", "activiteit": activity()[0]},
        {},
    ],
    ids=str,
)
def test_a_rule_matches_on_type_doel_and_activity(rule: dict[str, Any]) -> None:
    bericht = verzoek(type="Melding", doel="Conceptverzoek")
    rules = [{**rule, "zaaktype": "DEZE"}] + ([OTHER] if rule else [])
    assert chosen(bericht, *rules) == "DEZE"


@pytest.mark.parametrize(
    "rule", [{"type": "Informatie"}, {"doel": "Aanvullen"}, {"activiteit": "iets"}], ids=str
)
def test_a_rule_that_differs_in_one_thing_does_not_match(rule: dict[str, Any]) -> None:
    assert chosen(verzoek(type="Melding"), {**rule, "zaaktype": "DEZE"}, OTHER) == "ANDER"


def test_a_verzoek_that_no_rule_matches_is_parked_with_what_it_is() -> None:
    with pytest.raises(StepFailed) as failed:
        chosen(verzoek(type="Melding"), {"type": "Informatie", "zaaktype": "X"})
    assert isinstance(failed.value.outcome, Permanent)
    for part in ("'Melding'", "'Initieren'", activity()[0]):
        assert part in failed.value.outcome.reason


async def test_a_doel_that_is_not_known_is_parked(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    sink = sink_of(raw)
    spec = VerzoekSpec(NUMBER, OIN, doel="Verlengen")
    outcome = await attempt(sink, handed_over(make_verzoek(spec)), MemoryCheckpoint())
    await sink.close()
    assert isinstance(outcome, Permanent)
    assert "doel 'Verlengen' is not known" in outcome.reason
    assert zgw.calls == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bronorganisatie": "123456789"}, "is not an RSIN"),
        ({"prefix": "te lang voor een nummer"}, "is not a prefix"),
        ({"inline": "17 MiB"}, "choose at most 16 MiB"),
        ({"zaaktypen": []}, "zaaktypen"),
        ({"zaaktypen": [{"zaaktype": "A"}, {"zaaktype": "B"}]}, "make it the last"),
        ({"zaaktypen": [{"zaaktype": "A", "doel": "Anders"}]}, "is not a doel"),
        ({"zaaktypen": [{"zaaktype": "A", "status_aanvullen": "initial"}]}, "is for a new zaak"),
        ({"rollen": {"initiatiefnemer": "X", "gemachtigde": "X"}}, "give each its own"),
        ({"informatieobjecttypen": None}, "informatieobjecttypen"),
        ({"zaken": "ftp://zgw.example"}, "zaken: "),
        ({"vertrouwelijk": "heel geheim"}, "vertrouwelijk"),
        ({"certificate": "/x.pem"}, "certificate and key go together"),
        ({"catalogus": {"domein": "OMGEV"}}, "give domein and rsin, or url"),
        ({"catalogus": {}}, "give domein and rsin, or url"),
        ({"identificatie": "anders"}, "identificatie"),
    ],
    ids=str,
)
def test_options_that_are_wrong_are_refused_with_the_fix(
    raw: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(SinkProblem, match=said):
        make_sink((ZGW,), "zaken", {**raw, **change}, context_of())


def test_plain_http_is_refused_outside_tests(raw: dict[str, Any]) -> None:
    address = {"zaken": "http://zgw.example/zaken/api/v1"}
    with pytest.raises(SinkProblem, match="plain HTTP"):
        make_sink((ZGW,), "zaken", {**raw, **address}, context_of(environment=Environment.PROD))


async def problems(raw: dict[str, Any]) -> tuple[str, ...]:
    """What a probe finds."""
    sink = sink_of(raw)
    try:
        await sink.probe()
    except SinkProblem as problem:
        return problem.problems
    finally:
        await sink.close()
    return ()


async def test_a_probe_looks_at_everything_and_makes_nothing(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    assert await problems(raw) == ()
    assert {call.method for call in zgw.calls} == {"GET"}
    read = {call.path.rpartition("/")[2] for call in zgw.calls}
    assert {"zaken", "enkelvoudiginformatieobjecten", "zaaktypen", "statustypen", "roltypen"} <= read


async def test_a_probe_names_every_type_that_is_missing(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    types = {**raw["informatieobjecttypen"], "verzoek": "Geen", "pdf": "Los"}
    found = await problems(
        {
            **raw,
            "informatieobjecttypen": types,
            "rollen": {"initiatiefnemer": "niemand"},
            "zaaktypen": [
                {"doel": "Conceptverzoek", "zaaktype": "OMG-CONCEPT"},
                {"zaaktype": "OMG-AANVRAAG", "status": "Nooit", "status_intrekken": "Afgehandeld"},
            ],
        }
    )
    for part in (
        "'OMG-CONCEPT'",
        "'Geen'",
        "'Los' does not belong",
        "'niemand'",
        "'Nooit'",
        "needs a resultaat",
    ):
        assert len([line for line in found if part in line]) == 1, part
    assert len(found) == 6


async def test_a_probe_tells_what_may_not_be_read(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    zgw.denied = frozenset({"GET zaken"})
    (line,) = await problems(raw)
    assert line.startswith("reading zaken: HTTP 403")


async def test_a_probe_of_a_server_that_is_away_says_so(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    away = {api: f"http://127.0.0.1:9/{api}/api/v1" for api in ("zaken", "documenten", "catalogi")}
    found = await problems({**raw, **away})
    assert len(found) == 3
    assert all("no connection" in line for line in found)


def test_an_identificatie_follows_from_what_it_is_of() -> None:
    one = identificatie("DSO-", NUMBER, OIN, NUMBER)
    assert one == identificatie("DSO-", NUMBER, OIN, NUMBER)
    assert one.startswith(f"DSO-{NUMBER}-")
    assert (
        len(
            {one, identificatie("DSO-", NUMBER, OIN, NUMBER, ""), identificatie("DSO-", NUMBER, OIN + NUMBER)}
        )
        == 3
    )


@pytest.mark.parametrize("number", ["", "a/b c", "x" * 200, "é\n😀"])
def test_an_identificatie_is_always_one(number: str) -> None:
    found = identificatie("A-B_C-D_E-F_", number, OIN, number)
    assert len(found) <= 40
    assert set(found) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    ("text", "cut"), [("kort", "kort"), ("12345678901", "123456789…"), (" a \n b ", "a b")]
)
def test_a_text_is_cut_to_fit(text: str, cut: str) -> None:
    assert bounded(text, 10) == cut


async def test_a_server_that_wants_our_certificate_gets_it(
    zgw: FakeZgw, raw: dict[str, Any], tmp_path: Any
) -> None:
    pki = ThrowawayPki()
    pki.root_pem(tmp_path / "roots.pem")
    pki.issue("Stad", "00000001001100415000").write(tmp_path, "client")
    server = pki.issue("Server", "00000001001100416000").key_pair(tmp_path, "server")
    async with zgw.serving_tls(server, pki) as address:
        secured = {
            **table(zgw, tmp_path),
            **{api: f"{address}/{api}/api/v1" for api in ("zaken", "documenten", "catalogi")},
            "roots": str(tmp_path / "roots.pem"),
        }
        assert all("TLS" in line or "connection" in line for line in await problems(secured))
        assert await problems(secured)
        keys = {"certificate": str(tmp_path / "client.pem"), "key": str(tmp_path / "client.key")}
        assert await problems({**secured, **keys}) == ()


def test_the_defaults_are_those_of_the_document() -> None:
    fields = ZgwOptions.model_fields
    assert (fields["prefix"].default, fields["inline"].default) == ("DSO-", 1024 * 1024)
