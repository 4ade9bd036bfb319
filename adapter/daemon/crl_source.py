# SPDX-License-Identifier: EUPL-1.2

"""One revocation list as it is fetched: where it is to be had, how it is got, and when it is next looked at."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from adapter.config import OutgoingConfig
from adapter.net import HttpClient, Timeouts
from adapter.pki import Chain, Crl, CrlProblem, TrustStore, crl_urls, issuer_id, links

FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(minutes=15)
SOONEST: Final = timedelta(minutes=1)
"""Between two looks at a list that is about to expire."""

Key = tuple[bytes, tuple[str, ...]]
"""What tells a source from others: its issuer, and its addresses."""

Links = Mapping[Key, tuple[x509.Certificate, x509.Certificate]]
"""A certificate with its issuer, for each list."""

_TIMEOUTS: Final = Timeouts(read=timedelta(seconds=20), total=timedelta(minutes=2))


async def download_crl(url: str, outgoing: OutgoingConfig, limit: int) -> bytes:
    """The octets at the address of a list: plain HTTP, as its signature protects it; no redirect is followed.

    Raises CrlProblem or NetProblem.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    client = await asyncio.to_thread(
        HttpClient,
        None,
        # a certificate names http only; a mirror that is configured may be https, under any root of this machine
        None if parts.scheme == "https" else TrustStore([]),
        None,
        frozenset({host}),
        _TIMEOUTS,
        allow_plain=True,
        proxy=outgoing.proxy_for(host),
    )
    async with client, client.request("GET", url) as response:
        if response.status != 200:
            raise CrlProblem(f"the server answers {response.status}")
        return await response.read(limit)


def next_fetch(now: datetime, crl: Crl, refresh: timedelta, chance: float) -> datetime:
    """When a list that was just fetched is fetched again: after `refresh` at the latest, and well before it expires.

    `chance`, from 0 to 1, spreads it, so that many adapters do not come at the same time.
    """
    wait = min(refresh, max((crl.next_update - now) / 2, SOONEST))
    return _spread(now, wait, chance)


def next_retry(now: datetime, failures: int, chance: float) -> datetime:
    """When a list is tried again that could not be had so many times."""
    wait = min(FIRST_RETRY * (1 << min(failures - 1, 10)), LONGEST_RETRY)
    return _spread(now, wait, chance)


def _spread(now: datetime, wait: timedelta, chance: float) -> datetime:
    return now + (1 - chance / 10) * wait


@dataclass(slots=True)
class Source:
    """Where one list is to be had, at any of `urls`; `sample` is a certificate that it says something about.

    One of the configuration has no sample: it may be of any known authority.
    """

    label: str
    urls: tuple[str, ...]
    sample: x509.Certificate | None
    issuer: x509.Certificate | None
    since: datetime
    seen: datetime
    due: datetime
    failures: int = 0
    problem: str | None = None
    fetched: datetime | None = None
    held: Crl | None = None
    digest: bytes = b""

    def trouble(self, now: datetime, crl: Crl | None) -> str | None:
        """Why everybody under the issuer is refused, with what mends it; None where nobody is."""
        if self.sample is None or (crl is not None and not crl.is_expired(now)):
            return None
        state = "there is no revocation list" if crl is None else "the revocation list expired"
        if not self.urls:
            return (
                f"{self.label}: {state}, and its certificates do not say where it is; "
                "name the address under [trust.revocation] urls"
            )
        hosts = ", ".join(sorted({urlsplit(url).hostname or "" for url in self.urls}))
        return f"{self.label}: {state}: {self.problem or 'it is being fetched'}; let the daemon reach {hosts}"

    def is_stale(self, now: datetime, crl: Crl | None, refresh: timedelta) -> bool:
        """Whether somebody must look into it that it cannot be fetched: the list is about to expire, or old."""
        if crl is None or crl.next_update - now < refresh:
            return True
        return now - (self.fetched or self.since) > 2 * refresh


def lists_of(chains: Iterable[Chain]) -> Links:
    """One link for each list that chains need. Blocking: of a thousand chains, a moment."""
    return {
        (issuer_id(issuer), crl_urls(certificate)): (certificate, issuer)
        for chain in chains
        for certificate, issuer in links(chain)
    }


def issuer_label(issuer: x509.Certificate) -> str:
    """What an issuer is called in metrics and logs; the digits tell two of one name apart."""
    names = issuer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else issuer.subject.rfc4514_string()
    return f"{name[:80]} {issuer_id(issuer).hex()[:8]}"
