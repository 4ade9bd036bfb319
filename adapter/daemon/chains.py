# SPDX-License-Identifier: EUPL-1.2

"""The chains of certificates that the daemon works with before anybody shows one: our own, and those of the CPAs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from adapter.admin import EVERYBODY
from adapter.authorities import Authorities
from adapter.config import Config, KeyFiles
from adapter.pki import Chain, KeyPair, KeyProblem, NotTrusted, TrustStore
from cpa import Agreement, CpaError


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that we show or that a CPA names, and what goes with it; `name` is for messages.

    `stops` are the authorities that nothing can be received for without it.
    """

    name: str
    certificate: x509.Certificate
    sent: Chain = ()
    own: bool = False
    stops: frozenset[str] = frozenset()

    def chain(self, trust: TrustStore, at: datetime) -> Chain:
        """Its chain. Raises NotTrusted."""
        return trust.verify(self.certificate, self.sent, at)


@dataclass(frozen=True, slots=True)
class ChainsInUse:
    """Finds them, as far as they chain to a root with what is known of authorities."""

    config: Callable[[], Config]
    authorities: Callable[[], Authorities]
    spare_keys: Callable[[str], tuple[KeyPair, ...]]
    trust: TrustStore
    clock: Callable[[], datetime]

    def find(self) -> tuple[tuple[Shown, Chain], ...]:
        """All of them; a certificate whose authorities nobody showed yet is left out until then. Blocking."""
        found: list[tuple[Shown, Chain]] = []
        agreements = (known.agreement for known in self.authorities().agreements())
        for shown in (*self._own(), *partners_in(agreements)):
            with suppress(NotTrusted):
                chain = shown.chain(self.trust, self.clock())
                self.trust.learn(chain)
                found.append((shown, chain))
        return tuple(found)

    def _own(self) -> Iterator[Shown]:
        yield from configured(self.config())
        for name, authority in self.authorities().by_name.items():
            yield ours(f"authority {name}", authority.keys, frozenset({name}))
            for pair in self.spare_keys(name):
                yield ours(f"authority {name}", pair)


def partners_in(agreements: Iterable[Agreement]) -> Iterator[Shown]:
    """The certificates of partners in agreements, each once."""
    seen: set[x509.Certificate] = set()
    for agreement in agreements:
        for agreed in agreement.them.certificates:
            with suppress(CpaError):  # one that cannot be read is refused where it is used
                if agreed.x509 not in seen:
                    seen.add(agreed.x509)
                    yield Shown(f"partner of {agreement.cpa_id}", agreed.x509)


def ours(name: str, pair: KeyPair, stops: frozenset[str] = frozenset()) -> Shown:
    """A certificate of our own."""
    return Shown(name, pair.certificate, pair.chain, own=True, stops=stops)


def configured(config: Config) -> Iterator[Shown]:
    """The certificates of our own that are in files of the configuration beside those of authorities."""
    for files in config.ebms.tls.pairs if config.ebms.tls is not None else ():
        yield from _in_files("ebms.tls", files, EVERYBODY)
    for name, authority in config.authorities.items():
        for table, api in (("dso", authority.dso), ("publish", authority.publish)):
            if api is not None and api.own_keys is not None:
                yield from _in_files(f"{name}.{table}", api.own_keys)


def _in_files(name: str, files: KeyFiles, stops: frozenset[str] = frozenset()) -> Iterator[Shown]:
    with suppress(KeyProblem):  # said at start and by `check`
        yield ours(name, files.load(strict=False), stops)
