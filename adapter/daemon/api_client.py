# SPDX-License-Identifier: EUPL-1.2

"""The connection of an authority to an API of DSO-LV, as the configuration has it."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from adapter.config import Config, Environment
from adapter.net import HttpClient, Timeouts, Witnesses
from adapter.pki import KeyPair, Revocation, TrustStore


def api_client(
    config: Config,
    url: str,
    keys: KeyPair,
    trust: TrustStore,
    timeouts: Timeouts,
    *,
    hosts: Iterable[str] = (),
    revocation: Revocation | None = None,
    witnesses: Witnesses | None = None,
) -> HttpClient:
    """A client for the API at an address, which shows `keys` and goes to the host there, and to `hosts`, only."""
    host = urlsplit(url).hostname or ""
    return HttpClient(
        key_pair=keys,
        trust=trust,
        # which OIN the API's certificate carries is not published: chain and host name decide
        expected_oins=None,
        allowed_hosts=frozenset({host, *hosts}),
        timeouts=timeouts,
        allow_plain=config.environment is Environment.TEST,
        proxy=config.outgoing.proxy_for(host),
        revocation=revocation,
        witnesses=witnesses,
    )
