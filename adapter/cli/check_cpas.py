# SPDX-License-Identifier: EUPL-1.2

"""The checks of agreements: each is a CPA, of this authority, sound, in force, and signed for with our key."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from adapter.authorities import KnownAgreement
from adapter.cli.check_keys import Keys
from adapter.cli.check_line import Line, ok, warning, wrong
from adapter.config import AgreementConfig, Config, Environment, Key
from adapter.pki import KeyPair
from cpa import (
    Agreement,
    Certificate,
    CpaError,
    NotAParty,
    Severity,
    agreement_for,
    lint,
    pairs,
    parse_cpa,
)
from cpa.names import ACKNOWLEDGMENT, MESSAGE_ERROR


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that is, or is to be, an agreement of an authority; `place` is where it was found."""

    authority: str
    place: str
    document: bytes
    number: int | None = None
    """Its position in `cpas`, where it is a file of the configuration."""

    @property
    def key(self) -> Key:
        """Where the configuration names it, or the authority that it is of."""
        return (
            "authorities",
            self.authority,
            *(() if self.number is None else ("cpas", self.number)),
        )


def read_cpa_files(config: Config) -> tuple[list[Candidate], list[Line]]:
    """The CPA files of the configuration, and those that cannot be read."""
    found: list[Candidate] = []
    lines: list[Line] = []
    for name, authority in config.authorities.items():
        for number, path in enumerate(authority.cpas):
            try:
                found.append(Candidate(name, path.name, path.read_bytes(), number))
            except OSError as error:
                text = f"{path} cannot be read ({error.strerror}); correct the path, or its rights"
                lines.append(
                    wrong("cpa", path.name, config.problem(("authorities", name, "cpas", number), text))
                )
    return found, lines


def check_cpas(config: Config, keys: Keys, candidates: Iterable[Candidate], now: datetime) -> list[Line]:
    """What is to be said of the agreements of all authorities."""
    lines: list[Line] = []
    owners: dict[str, str] = {}
    with_agreement: set[str] = set()
    for candidate in candidates:
        if candidate.authority not in config.authorities:
            continue  # of an authority that is no longer in the configuration
        with_agreement.add(candidate.authority)
        lines += _check_candidate(config, keys, candidate, owners, now)
    lines += [
        warning(
            "cpa",
            name,
            "this authority has no agreement, so it receives nothing; name its CPA file in `cpas`, "
            "or add it with `stam-adapter cpa add`",
        )
        for name in config.authorities
        if name not in with_agreement
    ]
    return lines


def _check_candidate(
    config: Config, keys: Keys, candidate: Candidate, owners: dict[str, str], now: datetime
) -> Iterator[Line]:
    """What is to be said of one document among others, of which `owners` has the CPAIds."""
    try:
        document = parse_cpa(candidate.document)
    except CpaError as problem:
        text = f"{candidate.place}: {problem}; ask for a correct CPA"
        yield wrong("cpa", candidate.place, config.problem(candidate.key, text))
        return
    try:
        agreement = agreement_for(document, config.authorities[candidate.authority].party_id)
    except NotAParty as problem:
        fix = f"correct `party` of authority {candidate.authority}, or leave the CPA out"
        yield wrong(
            "cpa", candidate.place, config.problem(candidate.key, f"{candidate.place}: {problem}; {fix}")
        )
    else:
        yield from check_cpa(config, keys.get(candidate.authority), candidate, agreement, now)
    yield from _check_owner(config, candidate, document.cpa_id, owners)


def check_cpa(
    config: Config, keys: KeyPair | None, candidate: Candidate, agreement: Agreement, now: datetime
) -> list[Line]:
    """What is to be said of one document and the `agreement` in it; the first line is about it as a whole."""
    lines = [_in_force(agreement, candidate, now), *_check_rules(config, candidate, agreement, now)]
    if keys is not None:
        lines += _check_signing(config, candidate.authority, agreement, keys)
    return lines


def _in_force(agreement: Agreement, candidate: Candidate, now: datetime) -> Line:
    window = f"{agreement.start:%Y-%m-%d} to {agreement.end:%Y-%m-%d}"
    facts = f"{candidate.place}: with {agreement.them.name}, {agreement.status}, {window}"
    if agreement.is_active_at(now):
        return ok("cpa", agreement.cpa_id, f"{facts}: in force")
    return warning("cpa", agreement.cpa_id, f"{facts}: not in force now; messages under it are refused")


def _check_rules(config: Config, candidate: Candidate, agreement: Agreement, now: datetime) -> Iterator[Line]:
    production = config.environment is Environment.PROD
    for finding in lint(agreement.document, production=production, now=now):
        text = f"{finding.rule}: {finding.where}: {finding.message}"
        if finding.severity is Severity.ERROR:
            text = config.problem(candidate.key, f"{candidate.place}: {text}; ask for a corrected CPA")
            yield wrong("cpa", agreement.cpa_id, text)
        elif finding.severity is Severity.WARNING:
            yield warning("cpa", agreement.cpa_id, text)


def _check_signing(config: Config, name: str, agreement: Agreement, keys: KeyPair) -> Iterator[Line]:
    """With another key than the agreed one nothing can be acknowledged, so nothing is accepted."""
    settings = config.authorities[name].agreements.get(agreement.cpa_id) or AgreementConfig()
    known = KnownAgreement(name, agreement, settings, frozenset())
    for agreed in _signing_certificates(agreement):
        where = f"signing certificate {agreed.id!r}"
        try:
            expected = agreed.x509
            allowed = known.may_use(keys.certificate, agreed)
        except CpaError as problem:
            yield wrong("signing", agreement.cpa_id, f"{problem}; ask for a corrected CPA")
            continue
        if expected == keys.certificate:
            yield ok("signing", agreement.cpa_id, f"{where} is ours")
        elif allowed:
            yield warning(
                "signing",
                agreement.cpa_id,
                f"{where} is another one of our OIN than that in {keys.certificate_path.name}; ask for a CPA with "
                "the new one, since not every partner accepts that",
            )
        else:
            text = (
                f"{where} of CPA {agreement.cpa_id} is not the one in {keys.certificate_path}; configure the "
                "certificate that stands in the CPA, or ask for a CPA with ours"
            )
            place = ("authorities", name, "certificate")
            yield wrong("signing", agreement.cpa_id, config.problem(place, text))


def _signing_certificates(agreement: Agreement) -> list[Certificate]:
    """The certificates with which we are to sign, each once."""
    exchanges = [agreement.sent_signal(ACKNOWLEDGMENT), agreement.sent_signal(MESSAGE_ERROR)]
    exchanges += [pair.exchange for pair in pairs(agreement.us, agreement.them)]
    found = [e.signing_certificate for e in exchanges if e.signing_certificate is not None]
    return list({certificate.id: certificate for certificate in found}.values())


def _check_owner(config: Config, candidate: Candidate, cpa_id: str, owners: dict[str, str]) -> Iterator[Line]:
    """A CPAId belongs to one authority."""
    owner = owners.setdefault(cpa_id, candidate.authority)
    if owner != candidate.authority:
        text = (
            f"{candidate.place} of authority {candidate.authority} is also an agreement of {owner}; "
            "a CPAId belongs to one authority: leave it out of the other"
        )
        yield wrong("cpa", cpa_id, config.problem(candidate.key, text))
