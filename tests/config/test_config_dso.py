# SPDX-License-Identifier: EUPL-1.2

"""The options of Verzoek afhandelen: what can be written, and what is refused with the fix."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.config import Config, DsoConfig, FetchStrategy, parse_rate

Load = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]
URL = "url = 'https://dso.example/api'\n"
DSO = "[authorities.stad.dso]\n" + URL


def dso_of(config: Config) -> DsoConfig:
    dso = config.authorities["stad"].dso
    assert dso is not None
    return dso


def test_references_are_asked_for_unless_said_otherwise(load: Load, small: str) -> None:
    dso = dso_of(load(small + DSO))
    assert (dso.strategy, dso.direct_paths) == (FetchStrategy.REFERENCES, None)
    assert (dso.concurrency, dso.rate, dso.check_announced) == (4, None, True)
    assert (dso.oauth, dso.api_key_file) == (None, None)


def test_direct_has_paths_of_its_own(load: Load, small: str) -> None:
    more = "strategy = 'direct'\ndirect = { document = '/d/{documentId}' }\n"
    paths = dso_of(load(small + DSO + more)).direct_paths
    assert paths is not None
    assert (paths.verzoek, paths.pdf) == ("/verzoeken/{verzoeknummer}/samenvatting", None)
    assert paths.document == "/d/{documentId}"


def test_every_option_of_access_and_pace_is_read(load: Load, small: str, tmp_path: Path) -> None:
    more = """
concurrency = 2
rate = "90/m"
parameters = { versie = "2" }
api_key_file = "sleutel"
api_key_header = "X-Key"
oauth = { token_url = "https://login.example/token", client_id = "wij", client_secret_file = "geheim" }
"""
    dso = dso_of(load(small + DSO + more))
    assert (dso.concurrency, dso.rate, dict(dso.parameters)) == (2, 1.5, {"versie": "2"})
    assert (dso.api_key_file, dso.api_key_header) == (tmp_path / "sleutel", "X-Key")
    assert dso.oauth is not None
    assert dso.oauth.client_secret_file == tmp_path / "geheim"


@pytest.mark.parametrize(
    ("text", "rate"), [("20/s", 20.0), ("300/m", 5.0), ("1800 / h", 0.5), (" 1/s ", 1.0)]
)
def test_a_rate_is_so_many_a_second_minute_or_hour(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("value", ["20", "0/s", "20/d", "-1/s", "1.5/s", "²/s", 20, 2.5, True, None])
def test_what_is_no_rate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match='write a number per second, minute or hour, as "20/s"'):
        parse_rate(value)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("strategy = 'beide'\n", "strategy: 'beide' is not known; use 'references' or 'direct'"),
        (
            "references = '/verzoeken'\n",
            "references: has no {verzoeknummer}; put it where that belongs",
        ),
        (
            "references = '/v/{verzoeknummer}/{volgnumer}'\n",
            "references: has {volgnumer}, which stands for nothing; write {verzoeknummer} or {volgnummer}",
        ),
        (
            "direct = { verzoek = '/v/{verzoeknummer}/{documentId}' }\n",
            "direct.verzoek: has {documentId}, which stands for nothing; write {verzoeknummer} or {volgnummer}",
        ),
        (
            "direct = { document = '/v/{verzoeknummer}' }\n",
            "direct.document: has no {documentId}; put it where that belongs",
        ),
        ("rate = 20\n", "rate: is not a rate; write a number per second, minute or hour, as"),
        ("concurrency = 0\n", "concurrency: "),
        ("oauth = { client_id = 'x' }\n", "oauth.token_url: is missing; add it"),
        (
            "oauth = { client_id = 'x', token_url = 'login' }\n",
            "oauth.token_url: is not a URL; write https://host/path",
        ),
        (
            "oauth = { client_id = 'x', token_url = 'https://a:b@login.example/t' }\n",
            "oauth.token_url: has a user in it; leave that out",
        ),
        (
            "oin_header = 'X-API-Key'\napi_key_file = 'k'\n",
            "oin_header and api_key_header are the same header; give the API key another one",
        ),
        (
            "api_key_header = 'Authorization'\napi_key_file = 'k'\n",
            "the header authorization has a use of its own; give the OIN and the API key other headers",
        ),
    ],
)
def test_a_fault_is_said_with_its_fix(problems: Problems, small: str, more: str, problem: str) -> None:
    (found,) = problems(small + DSO + more)
    assert f"authorities.stad.dso.{problem}" in found or f"authorities.stad.dso: {problem}" in found


def test_a_token_is_not_asked_for_over_plain_http(problems: Problems, whole: str) -> None:
    oauth = "[authorities.voorbeeldstad.dso.oauth]\nclient_id = 'x'\ntoken_url = 'http://login.example/t'\n"
    (found,) = problems(whole + oauth)
    assert "oauth.token_url: plain HTTP is not allowed in environment pre; write https://" in found
