# SPDX-License-Identifier: EUPL-1.2

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from adapter.config import Config, ConfigProblem, load_config

WHOLE = """
environment = "pre"
state = "var"

[store]
url = "sqlite"
payloads = "file"

[trust]
roots = ["tls/pkioverheid-private-g1.pem"]

[ebms]
listen = "0.0.0.0:8443"
path = "/ebms"
max_message = "100 MiB"
trusted_proxies = []
read_timeout = "45s"
[ebms.tls]
certificate = "tls/server.pem"
key = "tls/server.key"

[admin]
listen = "127.0.0.1:8080"
[[admin.users]]
name = "beheer"
token_file = "beheer.token"
role = "administer"
authorities = ["*"]

[retries]
first = "10s"
max = "1h"
give_up = "5d"

[log]
format = "console"
level = "debug"

[limits]
concurrency = 4

[authorities.voorbeeldstad]
party = "urn:osb:oin:00000001001100415000"
cpas = ["cpa/voorbeeldstad.xml"]
certificate = "tls/voorbeeldstad.pem"
key = "tls/voorbeeldstad.key"

[authorities.voorbeeldstad.agreements."CPA-1"]
acts_for = ["00000003123456780000"]
certificate_renewal = "cpa"
legacy = true
lenient = true
max_message = "2 GiB"

[authorities.voorbeeldstad.dso]
url = "https://pkio.service.pre.omgevingswet.overheid.nl/overheid/verzoeken/api/afhandelen/v2"
references = "/verzoeken/{verzoeknummer}"
search = "/verzoeken/_zoek"
oin_header = "OIN"
hosts = ["documenten.example"]
timeout = "2m"
links = { pdf = ["pdf"] }

[authorities.voorbeeldstad.notification]
roots = ["triggerbericht", "verzoeknotificatie"]
verzoeknummer = "verzoeknummer"

[[authorities.voorbeeldstad.routes]]
flow = "stam"
sink = "archief"

[authorities.voorbeeldstad.sinks.archief]
type = "directory"
path = "verzoeken"
options = { deep = ["a", "b"] }
"""

SMALL = """
environment = "test"
[authorities.stad]
party = "urn:osb:oin:00000001001100415000"
certificate = "stad.pem"
key = "stad.key"
[[authorities.stad.routes]]
flow = "message"
sink = "archief"
[authorities.stad.sinks.archief]
type = "directory"
path = "/srv/stad"
"""

Load = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]


@pytest.fixture
def whole() -> str:
    return WHOLE


@pytest.fixture
def small() -> str:
    return SMALL


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a configuration and load it; ``more`` are other files beside it."""

    def write_and_load(
        text: str, environ: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None
    ) -> Config:
        for name, content in {"adapter.toml": text, **(more or {})}.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return load_config(tmp_path / "adapter.toml", environ or {})

    return write_and_load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """The problems of a configuration, without the directory of the test and without lines, which
    `tests/bad_configs` has.
    """

    def find(
        text: str, environ: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        with pytest.raises(ConfigProblem) as caught:
            load(text, environ, more)
        said = (problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems)
        return tuple(re.sub(r"^(\S+\.toml)(:\d+)+:", r"\1:", problem) for problem in said)

    return find
