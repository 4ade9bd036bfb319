# SPDX-License-Identifier: EUPL-1.2

"""The checks of roots, keys and certificates: they belong together, are trusted, valid, and of who they should be."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from adapter.cli.check_line import Line, ok, warning, wrong
from adapter.config import AuthorityConfig, Config, Environment, Key, KeyFiles, read_secret
from adapter.pki import (
    KeyPair,
    KeyProblem,
    NotTrusted,
    TrustStore,
    exposure,
    oin_of,
)
from adapter.views.certificates import holder_name

SOON: Final = timedelta(days=42)
"""A new certificate takes weeks: request, issue, a new CPA, and the partner's import of it."""

Keys = dict[str, KeyPair]
"""The key pair of each authority whose files can be used, by the name of the authority."""


def check_roots(config: Config, now: datetime) -> tuple[TrustStore, list[Line]]:
    """The roots that can be used, and what is to be said of each file."""
    lines: list[Line] = []
    usable: list[Path] = []
    for number, path in enumerate(config.trust.roots):
        try:
            roots = TrustStore.from_files([path]).roots
        except KeyProblem as problem:
            place = ("trust", "roots", number)
            lines.append(wrong("root", path.name, config.problem(place, str(problem))))
            continue
        usable.append(path)
        lines += [_root(path, root, now) for root in roots]
    if not config.trust.roots:
        fix = "name the PEM file of the PKIoverheid private root under [trust] roots"
        lines.append(warning("root", "trust.roots", f"there is none, so no partner is trusted; {fix}"))
    for number, path in enumerate(config.admin.tls.client_roots if config.admin.tls is not None else ()):
        try:
            lines += [_root(path, root, now) for root in TrustStore.from_files([path]).roots]
        except KeyProblem as problem:
            lines.append(
                wrong(
                    "root", path.name, config.problem(("admin", "tls", "client_roots", number), str(problem))
                )
            )
    below: list[Path] = []
    for number, path in enumerate(config.trust.intermediates):
        try:
            found = TrustStore.from_files([], [path]).intermediates
        except KeyProblem as problem:
            lines.append(
                wrong(
                    "intermediate",
                    path.name,
                    config.problem(("trust", "intermediates", number), str(problem)),
                )
            )
            continue
        below.append(path)
        lines += [ok("intermediate", path.name, f"{holder_name(one)} {_until(one)}") for one in found]
    return TrustStore.from_files(usable, below), lines


def check_keys(config: Config, trust: TrustStore, now: datetime) -> tuple[Keys, list[Line]]:
    """The usable key pairs of the authorities, and what is to be said of every key of the configuration."""
    keys: Keys = {}
    lines: list[Line] = []
    for listener, tls in (("ebms", config.ebms.tls), ("admin", config.admin.tls)):
        for number, files in enumerate(tls.pairs if tls is not None else ()):
            place = _tls_key(listener, number)
            _, found = _check_pair(config, f"{listener}.tls", place, files, now)
            lines += found
    if config.ebms.tls is not None:
        lines += _check_server(config, trust, now)
    for name, authority in config.authorities.items():
        place = ("authorities", name)
        pair, found = _check_pair(config, name, place, authority, now)
        lines += found
        if pair is not None:
            keys[name] = pair
            lines += _check_holder(config, name, authority, pair)
            lines += _check_chain(config, name, place, pair, trust, now)
        for number, files in enumerate(authority.spare_keys):
            lines += _check_pair(config, f"{name}.spare_keys", (*place, "spare_keys", number), files, now)[1]
        lines += _check_own_pairs(config, name, authority, trust, now)
    return keys, lines


def _root(path: Path, root: x509.Certificate, now: datetime) -> Line:
    if not root.not_valid_before_utc <= now <= root.not_valid_after_utc:
        return wrong(
            "root", path.name, f"{holder_name(root)} {_until(root)}: not valid now; name the present root"
        )
    return ok("root", path.name, f"{holder_name(root)} {_until(root)}")


def _check_pair(
    config: Config, name: str, place: Key, files: KeyFiles, now: datetime
) -> tuple[KeyPair | None, list[Line]]:
    try:
        pair = files.load(strict=config.environment.guards_keys)
        exposed = [warning("key", name, problem) for problem in map(exposure, files.secrets) if problem]
    except KeyProblem as problem:
        return None, [wrong("key", name, config.problem_with(place, files, str(problem)))]
    facts = f"{holder_name(pair.certificate)}, OIN {pair.oin or 'none'}, {_until(pair.certificate)}"
    end = pair.certificate.not_valid_after_utc
    if now > end:
        text = f"{facts}: expired; put a new certificate in {files.certificate}"
        line = wrong("key", name, config.problem((*place, "certificate"), text))
    elif now < pair.certificate.not_valid_before_utc:
        start = pair.certificate.not_valid_before_utc
        text = f"{facts}: not valid before {start:%Y-%m-%d}; use the present one until then"
        line = wrong("key", name, config.problem((*place, "certificate"), text))
    elif now + SOON > end:
        line = warning(
            "key", name, f"{facts}: expires in {(end - now).days} days; ask for a new certificate now"
        )
    else:
        line = ok("key", name, facts)
    return pair, [line, *exposed]


def _check_server(config: Config, trust: TrustStore, now: datetime) -> Iterator[Line]:
    """What partners look at when they connect to us."""
    for number, files in enumerate(config.ebms.tls.pairs if config.ebms.tls is not None else ()):
        with suppress(KeyProblem):  # said before
            yield from _check_shown(config, _tls_key("ebms", number), files.load(strict=False), trust, now)


def _tls_key(listener: str, number: int) -> Key:
    """Where the configuration names the pairs of a listener: the first in its table, the others in a list there."""
    return (listener, "tls", *(("certificates", number - 1) if number else ()))


def _check_shown(
    config: Config, place: Key, pair: KeyPair, trust: TrustStore, now: datetime
) -> Iterator[Line]:
    if pair.oin is None and config.environment is not Environment.TEST:
        yield warning(
            "certificate",
            "ebms.tls",
            "names no OIN, by which partners know whom they connect to; use a PKIoverheid certificate",
        )
    yield from _check_chain(config, "ebms.tls", place, pair, trust, now)


def _check_own_pairs(
    config: Config, name: str, authority: AuthorityConfig, trust: TrustStore, now: datetime
) -> Iterator[Line]:
    """The keys that the APIs of DSO-LV are to be asked with, where those are not the authority's."""
    yield from _check_secrets(config, name, authority)
    for table, api in (("dso", authority.dso), ("publish", authority.publish)):
        if api is None or api.own_keys is None:
            continue
        place = ("authorities", name, table)
        pair, lines = _check_pair(config, f"{name}.{table}", place, api.own_keys, now)
        yield from lines
        if pair is not None:
            yield from _check_chain(config, f"{name}.{table}", place, pair, trust, now)


def _check_secrets(config: Config, name: str, authority: AuthorityConfig) -> Iterator[Line]:
    dso, publish = authority.dso, authority.publish
    oauth = dso.oauth if dso is not None else None
    for table, option, path in (
        ("dso", "api_key_file", dso.api_key_file if dso is not None else None),
        ("dso", "oauth.client_secret_file", oauth.client_secret_file if oauth is not None else None),
        ("publish", "api_key_file", publish.api_key_file if publish is not None else None),
    ):
        if path is None:
            continue
        try:
            read_secret(path)
        except ValueError as problem:
            place = ("authorities", name, table, *option.split("."))
            yield wrong("secret", f"{name}.{table}", config.problem(place, str(problem)))
        else:
            yield ok("secret", f"{name}.{table}", f"{option}: {path.name}")


def _check_chain(
    config: Config, name: str, place: Key, pair: KeyPair, trust: TrustStore, now: datetime
) -> Iterator[Line]:
    """A certificate with its intermediates must lead to a root; an expired one was said to be so before."""
    if not pair.certificate.not_valid_before_utc <= now <= pair.certificate.not_valid_after_utc:
        return
    try:
        trust.verify(pair.certificate, pair.chain, now)
    except NotTrusted as problem:
        say = warning if config.environment is Environment.TEST else wrong
        text = (
            f"{problem}; put its intermediate certificates after it in {pair.certificate_path}, "
            "and its root under [trust] roots"
        )
        yield say("certificate", name, config.problem((*place, "certificate"), text))
    else:
        yield ok("certificate", name, f"chains to a root by {len(pair.chain)} intermediate certificates")


def _check_holder(config: Config, name: str, authority: AuthorityConfig, pair: KeyPair) -> Iterator[Line]:
    """The OIN in the certificate is the party's, whose suffix of a test environment does not count (OIN-07)."""
    found = oin_of(pair.certificate)
    if found == authority.oin:
        yield ok("oin", name, f"certificate and party have OIN {found}")
    elif found is None:
        say = warning if config.environment is Environment.TEST else wrong
        text = "the certificate names no OIN; use the PKIoverheid certificate of the party"
        yield say("oin", name, config.problem(("authorities", name, "certificate"), text))
    else:
        text = (
            f"the certificate is of OIN {found}, the party is {authority.party}; "
            "correct `party`, or name the party's own `certificate` and `key`"
        )
        yield wrong("oin", name, config.problem(("authorities", name, "party"), text))


def _until(certificate: x509.Certificate) -> str:
    return f"until {certificate.not_valid_after_utc:%Y-%m-%d}"
