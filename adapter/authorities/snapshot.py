# SPDX-License-Identifier: EUPL-1.2

"""The snapshot of authorities: from a CPAId, an OIN or a name to what the adapter knows about it.

A snapshot is built from the configuration and the active agreements of the store, and never changes: when either
does, a new one is built and swapped in whole, so that a message is judged by one state of affairs from its first
octet to its answer.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

from cryptography import x509

from adapter.config import AgreementConfig, AuthorityConfig, CertificateRenewal, RouteConfig
from adapter.pki import KeyPair, is_oin, oin_of, strip_suffix
from cpa import (
    Agreement,
    Certificate,
    CpaError,
    NotAParty,
    PartyId,
    PartyInfo,
    Service,
    SyncReplyMode,
    agreement_for,
    parse_cpa,
)

_PERSIST = timedelta(days=5)
"""PersistDuration where an agreement does not say (REL-12)."""


class AuthorityProblem(Exception):
    """An agreement or key of an authority cannot be used; the text names it and the fix."""


@dataclass(frozen=True, slots=True)
class AgreementDocument:
    """An agreement as the store has it: `document` is the CPA as it was imported.

    `replaced_at` is None for the version in use; an earlier one was replaced then.
    """

    authority: str
    cpa_id: str
    document: bytes
    replaced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownAgreement:
    """One agreement of one authority, seen from the authority's side, with the settings beside it.

    `previous` are versions that were replaced not long ago: what was sent under them may still be acknowledged with
    the certificate of that time (LCY-05).
    """

    authority: str
    agreement: Agreement
    settings: AgreementConfig
    partner_oins: frozenset[str]
    previous: tuple[Agreement, ...] = ()

    @property
    def cpa_id(self) -> str:
        """The CPAId."""
        return self.agreement.cpa_id

    @property
    def connecting_oins(self) -> frozenset[str]:
        """OINs that may connect under this agreement: the partner's, and those that act for it (RTG-05)."""
        return self.partner_oins | frozenset(self.settings.acts_for)

    @property
    def is_loopback(self) -> bool:
        """Whether every endpoint of the agreement lies on this machine: a test set-up."""
        return all(
            _is_loopback(endpoint.uri)
            for party in self.agreement.document.parties
            for transport in party.transports
            if transport.receiver is not None
            for endpoint in transport.receiver.endpoints
        )

    def admits(self, oin: str | None, certificate: x509.Certificate | None, *, test: bool) -> bool:
        """Whether a peer with this OIN, or in a test set-up with this certificate, may connect (step 13a).

        Only `environment = "test"` and an agreement with loopback endpoints let a certificate without OIN in, and
        then only one that stands in the agreement itself.
        """
        if oin is not None:
            return oin in self.connecting_oins
        if certificate is None or not (test and self.is_loopback):
            return False
        return any(_same(candidate, certificate) for candidate in self.agreement.them.certificates)

    def may_use(self, certificate: x509.Certificate, agreed: Certificate) -> bool:
        """Whether a certificate is the agreed one, or a renewed one of the same OIN where that is allowed (CRT-16)."""
        if _same(agreed, certificate):
            return True
        if self.settings.certificate_renewal is not CertificateRenewal.SAME_OIN:
            return False
        oin = oin_of(certificate)
        return oin is not None and oin == oin_of(agreed.x509)


@dataclass(frozen=True, slots=True)
class Authority:
    """A competent authority or its behandeldienst: one of ours.

    `keys` is used where an agreement does not name the certificate of one of `spare_keys`.
    """

    name: str
    config: AuthorityConfig
    keys: KeyPair
    agreements: tuple[KnownAgreement, ...] = ()
    spare_keys: tuple[KeyPair, ...] = ()

    @property
    def key_pairs(self) -> tuple[KeyPair, ...]:
        """All its key pairs, the one in use first."""
        return (self.keys, *self.spare_keys)

    def route_for(self, service: Service, action: str) -> RouteConfig | None:
        """The first route that fits a received business message; None where the configuration has none."""
        return next(self.routes_for(service, action), None)

    def routes_for(self, service: Service, action: str) -> Iterator[RouteConfig]:
        """The routes that fit a received business message, in the order of the configuration."""
        for route in self.config.routes:
            if route.service in {None, service.name} and route.action in {None, action}:
                yield route


@dataclass(frozen=True, slots=True)
class Authorities:
    """All authorities at one moment."""

    by_name: Mapping[str, Authority]
    version: str = ""
    _by_cpa_id: Mapping[str, KnownAgreement] = field(default_factory=dict)

    def find_agreement(self, cpa_id: str) -> KnownAgreement | None:
        """The agreement with exactly this CPAId (HDR-11), whatever its status."""
        return self._by_cpa_id.get(cpa_id)

    def agreements(self) -> Iterable[KnownAgreement]:
        """Every agreement of every authority."""
        return self._by_cpa_id.values()

    def admits(self, oin: str | None, certificate: x509.Certificate | None, *, test: bool) -> bool:
        """Whether any agreement lets this peer connect (step 2a)."""
        return any(known.admits(oin, certificate, test=test) for known in self._by_cpa_id.values())


_Read = tuple[str, str, bytes, PartyId, AgreementConfig]
"""All that an agreement depends on; of its document the digest."""


class KnownAgreements:
    """Keeps agreements that were read, for the next snapshot: of a thousand, nearly all are as they were."""

    def __init__(self) -> None:
        self._kept: dict[_Read, KnownAgreement] = {}
        self._used: dict[_Read, KnownAgreement] = {}

    def know(self, document: AgreementDocument, config: AuthorityConfig) -> KnownAgreement:
        """The agreement of a document, as `config` sees it. Raises AuthorityProblem."""
        read = (
            document.authority,
            document.cpa_id,
            hashlib.sha256(document.document).digest(),
            config.party_id,
            config.agreements.get(document.cpa_id) or AgreementConfig(),
        )
        known = self._kept.get(read)
        if known is None:
            known = _know(document, config)
        self._used[read] = known
        return known

    def forget_unused(self) -> None:
        """Keep what was asked for since the last time, and no more."""
        self._kept, self._used = self._used, {}


def build_authorities(
    configs: Mapping[str, AuthorityConfig],
    keys: Mapping[str, KeyPair],
    documents: Iterable[AgreementDocument],
    version: str,
    now: datetime | None = None,
    read_before: KnownAgreements | None = None,
    spare_keys: Mapping[str, tuple[KeyPair, ...]] = MappingProxyType({}),
) -> tuple[Authorities, tuple[str, ...]]:
    """Build a snapshot; agreements that cannot be used are left out, and the reasons returned.

    `keys` has a key pair per authority, `spare_keys` those beside it; `version` is any text that changes with the
    documents; `now` decides which replaced versions still count (none without it); from `read_before` comes what is as
    it was at the last build. An agreement of an authority that is no longer in the configuration is left out without a
    word: it belongs to nobody here.
    """
    problems: list[str] = []
    reading = read_before or KnownAgreements()
    found: dict[str, list[KnownAgreement]] = {name: [] for name in configs}
    replaced: dict[str, list[Agreement]] = {}
    for document in sorted(documents, key=lambda one: one.replaced_at is None):
        config = configs.get(document.authority)
        if config is None:
            continue
        try:
            known = reading.know(document, config)
        except AuthorityProblem as problem:
            problems.append(str(problem))
            continue
        if document.replaced_at is None:
            previous = tuple(replaced.get(known.cpa_id, ()))
            found[document.authority].append(replace(known, previous=previous))
        elif now is not None and now <= document.replaced_at + _memory(known.agreement):
            replaced.setdefault(known.cpa_id, []).append(known.agreement)
    by_name = {
        name: Authority(name, config, keys[name], tuple(found[name]), spare_keys.get(name, ()))
        for name, config in configs.items()
    }
    reading.forget_unused()
    by_cpa_id = {known.cpa_id: known for knowns in found.values() for known in knowns}
    return Authorities(MappingProxyType(by_name), version, MappingProxyType(by_cpa_id)), tuple(problems)


def _memory(agreement: Agreement) -> timedelta:
    """How long messages sent under an agreement may still be acknowledged: its longest PersistDuration."""
    persisted = [
        binding.persist_duration
        for party in agreement.document.parties
        for exchange in party.doc_exchanges
        for binding in (exchange.sender, exchange.receiver)
        if binding is not None and binding.persist_duration is not None
    ]
    return max(persisted, default=_PERSIST)


def _know(document: AgreementDocument, config: AuthorityConfig) -> KnownAgreement:
    where = f"authority {document.authority}: CPA {document.cpa_id}"
    try:
        agreement = agreement_for(parse_cpa(document.document), config.party_id)
    except NotAParty as problem:
        raise AuthorityProblem(
            f"{where}: {problem}; correct `party` of the authority, or withdraw the CPA"
        ) from problem
    except CpaError as problem:
        raise AuthorityProblem(f"{where}: {problem}; ask for a correct CPA and add it again") from problem
    if any(
        channel.characteristics.sync_reply_mode is SyncReplyMode.RESPONSE_ONLY
        for party in agreement.document.parties
        for channel in party.channels
    ):
        # business messages never come back in a response, and signals would have no way at all (SYN-01)
        raise AuthorityProblem(
            f"{where}: syncReplyMode responseOnly is not supported; ask for none or mshSignalsOnly"
        )
    settings = config.agreements.get(document.cpa_id) or AgreementConfig()
    return KnownAgreement(document.authority, agreement, settings, _oins(agreement.them))


def _oins(party: PartyInfo) -> frozenset[str]:
    """The OINs a party is known by, without the suffix of a test environment (OIN-07)."""
    values = (strip_suffix(party_id.value) for party_id in party.ids)
    # a compliance facility uses other types than urn:osb:oin; the 20 positions decide, not the type (OPS-02)
    return frozenset(value.rpartition(":")[2] for value in values if is_oin(value.rpartition(":")[2]))


def _same(agreed: Certificate, shown: x509.Certificate) -> bool:
    return agreed.der is not None and agreed.x509 == shown


def _is_loopback(uri: str) -> bool:
    host = urlsplit(uri).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
