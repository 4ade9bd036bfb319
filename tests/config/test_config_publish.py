# SPDX-License-Identifier: EUPL-1.2

"""How a CPA is published is checked when the configuration is read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.config import Config, PublishBody, dso_environment

Load = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]

TABLE = "\n[authorities.voorbeeldstad.publish]\n"
PRE = 'url = "https://pkio.service.pre.omgevingswet.overheid.nl/overheid/cpas"\n'


def test_without_the_table_nothing_is_published(load: Load, whole: str) -> None:
    assert load(whole).authorities["voorbeeldstad"].publish is None


def test_an_address_is_enough(load: Load, whole: str) -> None:
    found = load(whole + TABLE + PRE).authorities["voorbeeldstad"].publish
    assert found is not None
    assert (found.method, found.path, found.body) == ("POST", "/cpas", PublishBody.XML)


def test_a_certificate_is_found_beside_the_configuration(load: Load, whole: str, tmp_path: Path) -> None:
    text = f'{whole}{TABLE}{PRE}certificate = "a.pem"\nkey = "a.key"\n'
    found = load(text).authorities["voorbeeldstad"].publish
    assert found is not None
    assert found.certificate == tmp_path / "a.pem"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('url = "cpas"\n', "url: is not a base URL"),
        ('url = "http://localhost/cpas"\n', "url: plain HTTP is not allowed in environment pre"),
        (
            'url = "https://pkio.service.omgevingswet.overheid.nl/cpas"\n',
            "url: is of environment prod, and this configuration of pre",
        ),
        (PRE + 'path = "cpas"\n', "path: "),
        (PRE + 'certificate = "a.pem"\n', "certificate and key go together"),
        (PRE + 'fields = { cpaId = "{cpa_id}" }\n', "fields need a body that has them"),
        (
            PRE + 'body = "json"\nfields = { cpa = "x" }\n',
            "cpa is both the field of the CPA and one of fields",
        ),
        (PRE + "accepted = [200, 409]\n", "409 is in both accepted and present"),
        (PRE + "accepted = []\n", "accepted: "),
        (PRE + 'headers = { Host = "x" }\n', "has Host, which the request sets itself"),
        (PRE + 'headers = { X-Key = "a\\r\\nb" }\n', "has a value for X-Key that no header can have"),
        (PRE + 'headers = { oin = "1" }\n', "the header OIN stands for two things"),
        (PRE + 'api_key_file = "a"\napi_key_header = "oin"\n', "the header OIN stands for two things"),
        (PRE + 'oin_header = "O I N"\n', "oin_header: "),
    ],
)
def test_what_cannot_be_sent_is_refused(problems: Problems, whole: str, options: str, said: str) -> None:
    found = problems(whole + TABLE + options)
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://pkio.service.pre.omgevingswet.overheid.nl:443/x", "pre"),
        ("https://pkio.service.omgevingswet.overheid.nl/x", "prod"),
        ("https://omgevingswet.overheid.nl/x", "prod"),
        ("https://niet-omgevingswet.overheid.nl/x", None),
        ("https://localhost/x", None),
    ],
)
def test_the_environment_of_an_address_of_dso_lv_is_known(url: str, environment: str | None) -> None:
    assert dso_environment(url) == environment
