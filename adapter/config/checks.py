# SPDX-License-Identifier: EUPL-1.2

"""Rules between the options of a configuration: what is well-formed by itself, but wrong together."""

from collections.abc import Hashable, Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapter.config.authority import AuthorityConfig, Flow
from adapter.config.lines import Key
from adapter.config.notifications import EVERYBODY, MailTls
from adapter.config.problems import did_you_mean
from adapter.config.retention import RetentionConfig
from adapter.config.settings import Config, Environment
from adapter.config.values import Listen
from adapter.pki import RevocationMode, strip_suffix

Fault = tuple[Key, str]

_OIN_URN = "urn:osb:oin:"
_DSO_HOST = "omgevingswet.overheid.nl"
_SOONEST = timedelta(minutes=5)
_PINGED = timedelta(minutes=1)
_LISTS_REFRESHED = timedelta(hours=4)


def check_rules(config: Config) -> Iterator[Fault]:
    """Yield each fault as its key and a text with the fix."""
    if config.environment is not Environment.TEST:
        yield from _check_listeners(config)
        yield from _check_protection(config)
    yield from _check_proxies(config)
    yield from _check_users(config)
    yield from _check_parties(config)
    yield from _check_places(config)
    yield from _check_retention(("retention",), config.retention)
    yield from _check_notifications(config)
    yield from _check_pings(config)
    for name, authority in config.authorities.items():
        yield from _check_publish(config.environment, ("authorities", name, "publish", "url"), authority)
        yield from _check_routes(("authorities", name), authority)
        yield from _check_own_retention(config, name)
        yield from _check_reconcile(("authorities", name, "reconcile"), authority)


def dso_environment(url: str) -> Environment | None:
    """Which environment of DSO-LV an address is in; None where it is not an address of DSO-LV."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host != _DSO_HOST and not host.endswith(f".{_DSO_HOST}"):
        return None
    return Environment.PRE if "pre" in host.split(".") else Environment.PROD


def _check_listeners(config: Config) -> Iterator[Fault]:
    where = f"in environment {config.environment.value}"
    if config.ebms.tls is None and not config.ebms.trusted_proxies:
        yield (
            ("ebms",),
            f"plain HTTP is not allowed {where}; add [ebms.tls], or trusted_proxies where a proxy does TLS",
        )
    admin = config.admin
    if admin.tls is None and not admin.trusted_proxies and not admin.listen.is_loopback:
        yield (
            ("admin", "listen"),
            f"plain HTTP off loopback is not allowed {where}; listen on 127.0.0.1 or add [admin.tls]",
        )


def _check_proxies(config: Config) -> Iterator[Fault]:
    """What says who a partner is must not be for everybody to say."""
    ebms = config.ebms
    for key, networks in (("ebms", ebms.trusted_proxies), ("admin", config.admin.trusted_proxies)):
        for number, network in enumerate(networks):
            if ip_network(network).prefixlen == 0:
                yield (
                    (key, "trusted_proxies", number),
                    f"{network} is everybody; give the addresses of the proxies",
                )
    if ebms.proxy is not None and not ebms.trusted_proxies:
        yield (
            ("ebms", "proxy"),
            "has no effect without ebms.trusted_proxies; add the addresses of the proxies",
        )
    if ebms.proxy is not None and ebms.proxy.certificate is not None and ebms.tls is None:
        yield (
            ("ebms", "proxy", "certificate"),
            "cannot be seen over plain HTTP; add [ebms.tls], or leave it out",
        )


def _check_protection(config: Config) -> Iterator[Fault]:
    where = f"in environment {config.environment.value}"
    if not config.trust.roots:
        yield ("trust", "roots"), f"is empty {where}; name the PEM file of the PKIoverheid private root"
    yield from _check_revocation(config)
    if (config.store.s3.endpoint or "").startswith("http://"):
        yield ("store", "s3", "endpoint"), f"plain HTTP is not allowed {where}; write https://"
    for name, authority in config.authorities.items():
        if authority.dso is not None and urlsplit(authority.dso.url).scheme != "https":
            yield ("authorities", name, "dso", "url"), f"plain HTTP is not allowed {where}; write https://"
        oauth = authority.dso.oauth if authority.dso is not None else None
        if oauth is not None and urlsplit(oauth.token_url).scheme != "https":
            yield (
                ("authorities", name, "dso", "oauth", "token_url"),
                f"plain HTTP is not allowed {where}; write https://",
            )
        if authority.reconcile is not None and authority.reconcile.every < _SOONEST:
            yield (
                ("authorities", name, "reconcile", "every"),
                f'is too often {where} for the fair use of DSO-LV; write "5m" or longer',
            )
        if config.environment is Environment.PROD and strip_suffix(authority.party) != authority.party:
            yield (
                ("authorities", name, "party"),
                "has a suffix of a test environment; use the PartyId of production",
            )


def _check_revocation(config: Config) -> Iterator[Fault]:
    where, revocation = f"in environment {config.environment.value}", config.trust.revocation
    if config.environment is Environment.PROD and config.revocation is not RevocationMode.HARD:
        yield (
            ("trust", "revocation", "mode"),
            f'{config.revocation.value} is not allowed {where}; write "hard", or leave it out',
        )
    if revocation.refresh > _LISTS_REFRESHED:
        yield (
            ("trust", "revocation", "refresh"),
            f'is too seldom {where}: revocation lists are fetched every four hours or sooner; write "4h"',
        )


def _check_users(config: Config) -> Iterator[Fault]:
    names: set[str] = set()
    for number, user in enumerate(config.admin.users):
        key: Key = ("admin", "users", number)
        if user.name in names:
            yield (*key, "name"), f"user {user.name} is there twice; give each user another name"
        names.add(user.name)
        option = "authorities" if user.roles is None else "roles"
        for unknown in sorted(user.role_of.keys() - {"*"} - config.authorities.keys()):
            yield (
                (*key, option),
                f"no authority is called {unknown!r}; {did_you_mean(unknown, config.authorities)}",
            )
        roots = config.admin.tls.client_roots if config.admin.tls is not None else ()
        if user.token_file is None and not roots:
            yield (
                key,
                f"user {user.name} shows a certificate; name the roots of such in [admin.tls] client_roots",
            )


def _check_notifications(config: Config) -> Iterator[Fault]:
    for name, channel in config.notifications.items():
        key: Key = ("notifications", name)
        for unknown in sorted(set(channel.authorities) - {EVERYBODY} - config.authorities.keys()):
            yield (
                (*key, "authorities"),
                f"no authority is called {unknown!r}; {did_you_mean(unknown, config.authorities)}",
            )
        if config.environment is Environment.TEST:
            continue
        where = f"in environment {config.environment.value}"
        if channel.tls is MailTls.NONE and not Listen(channel.server or "", 0).is_loopback:
            yield (
                (*key, "tls"),
                f'"none" is not allowed {where} but for a server on this machine; write "starttls" or "tls"',
            )
        if channel.url is not None and urlsplit(channel.url).scheme != "https":
            yield (*key, "url"), f"plain HTTP is not allowed {where}; write https://"


def _check_pings(config: Config) -> Iterator[Fault]:
    """A partner has more to do than to answer us."""
    if config.environment is Environment.TEST:
        return
    for name, authority in config.authorities.items():
        periods = {("ping_every",): authority.ping_every} | {
            ("agreements", cpa_id, "ping_every"): agreement.ping_every
            for cpa_id, agreement in authority.agreements.items()
        }
        for option, every in periods.items():
            if every and every < _PINGED:
                yield (
                    ("authorities", name, *option),
                    f'is too often for a partner; write "{_PINGED.seconds // 60}m" or longer',
                )


def _check_parties(config: Config) -> Iterator[Fault]:
    holders: dict[str, str] = {}
    for name, authority in config.authorities.items():
        first = holders.setdefault(authority.party.removeprefix(_OIN_URN), name)
        if first != name:
            yield (
                ("authorities", name, "party"),
                f"{authority.party} is also the party of authority {first}; each authority has its own",
            )


def _check_places(config: Config) -> Iterator[Fault]:
    """Two authorities may not share the place of a sink: none may see what another receives."""
    holders: dict[Hashable, str] = {}
    kept = _bucket(config.store.payloads, config.store.s3.endpoint)
    for name, authority in config.authorities.items():
        for sink, table in authority.sinks.items():
            option, place = _place(table)
            if place is None:
                continue
            key, shown = ("authorities", name, "sinks", sink, option), table[option]
            first = holders.setdefault(place, name)
            if first != name:
                yield (
                    key,
                    f"{shown} is also the {option} of a sink of authority {first}; give each authority its own",
                )
            if place == kept:
                yield key, f"{shown} is also [store] payloads; deliver to another bucket or prefix"


def _place(table: Mapping[str, Any]) -> tuple[str, Hashable]:
    """Where a sink delivers, of those that everybody who may read there can read: its option, and what tells it from
    others.
    """
    path, url, endpoint = (table.get(option) for option in ("path", "url", "endpoint"))
    if table["type"] == "directory" and isinstance(path, str):
        return "path", Path(path).resolve()
    if table["type"] == "s3" and isinstance(url, str):
        return "url", _bucket(url, endpoint)
    return "", None


def _bucket(url: str, endpoint: object) -> Hashable:
    return url.rstrip("/"), endpoint.rstrip("/") if isinstance(endpoint, str) else None


def _check_routes(key: Key, authority: AuthorityConfig) -> Iterator[Fault]:
    for number, route in enumerate(authority.routes):
        where: Key = (*key, "routes", number)
        if route.sink not in authority.sinks:
            yield (
                (*where, "sink"),
                f"this authority has no sink {route.sink!r}; {did_you_mean(route.sink, authority.sinks)}",
            )
        if route.flow is Flow.STAM and authority.dso is None:
            yield (
                (*where, "flow"),
                'flow "stam" collects the verzoek from DSO-LV; give this authority a table dso with its url',
            )


def _check_publish(environment: Environment, key: Key, authority: AuthorityConfig) -> Iterator[Fault]:
    """A CPA of one environment must not be offered to the other."""
    if authority.publish is None:
        return
    url = authority.publish.url
    if environment is not Environment.TEST and urlsplit(url).scheme != "https":
        yield key, f"plain HTTP is not allowed in environment {environment.value}; write https://"
    there = dso_environment(url)
    if there not in {None, environment}:
        yield (
            key,
            f"is of environment {there}, and this configuration of {environment.value}; give the address of that one",
        )


def _check_reconcile(key: Key, authority: AuthorityConfig) -> Iterator[Fault]:
    reconcile = authority.reconcile
    if reconcile is None:
        return
    if authority.dso is None:
        yield key, "asks DSO-LV for verzoeken; give this authority a table dso with its url"
    if reconcile.sink is None:
        if authority.stam_sink is None:
            yield (*key, "sink"), 'is missing, and no route has flow "stam"; name the sink to deliver to'
    elif reconcile.sink not in authority.sinks:
        yield (
            (*key, "sink"),
            f"this authority has no sink {reconcile.sink!r}; {did_you_mean(reconcile.sink, authority.sinks)}",
        )


def _check_own_retention(config: Config, name: str) -> Iterator[Fault]:
    """What an authority sets itself, together with what it leaves as it is for everybody."""
    authority, periods = config.authorities[name], config.retention_of(name)
    if authority.retention.model_fields_set:
        yield from _check_retention(("authorities", name, "retention"), periods)
    reconcile = authority.reconcile
    if reconcile is not None and periods.messages <= timedelta(days=reconcile.days_back + 1):
        yield (
            ("authorities", name, "reconcile", "days_back"),
            "goes back further than messages are kept, so that known verzoeken would be collected again; "
            "make it smaller, or retention.messages longer",
        )


def _check_retention(key: Key, periods: RetentionConfig) -> Iterator[Fault]:
    if periods.payloads > periods.messages:
        yield (*key, "payloads"), "is longer than messages; keep no payload longer than the message around it"
    if periods.messages > periods.timeline:
        yield (*key, "timeline"), "is shorter than messages; keep the timeline of what is kept"
