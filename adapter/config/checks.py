"""Rules between the options of a configuration: what is well-formed by itself, but wrong together."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from adapter.config.problems import Key, did_you_mean
from adapter.config.settings import AuthorityConfig, Config, Environment, Flow
from adapter.pki import strip_suffix

Fault = tuple[Key, str]

_OIN_URN = "urn:osb:oin:"


def check_rules(config: Config) -> Iterator[Fault]:
    """Yield each fault as its key and a text with the fix."""
    if config.environment is not Environment.TEST:
        yield from _check_listeners(config)
        yield from _check_protection(config)
    yield from _check_users(config)
    yield from _check_parties(config)
    yield from _check_directories(config)
    for name, authority in config.authorities.items():
        yield from _check_routes(("authorities", name), authority)


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


def _check_protection(config: Config) -> Iterator[Fault]:
    where = f"in environment {config.environment.value}"
    if not config.trust.roots:
        yield ("trust", "roots"), f"is empty {where}; name the PEM file of the PKIoverheid private root"
    for name, authority in config.authorities.items():
        if authority.dso is not None and urlsplit(authority.dso.url).scheme != "https":
            yield ("authorities", name, "dso", "url"), f"plain HTTP is not allowed {where}; write https://"
        if config.environment is Environment.PROD and strip_suffix(authority.party) != authority.party:
            yield (
                ("authorities", name, "party"),
                "has a suffix of a test environment; use the PartyId of production",
            )


def _check_users(config: Config) -> Iterator[Fault]:
    names: set[str] = set()
    for number, user in enumerate(config.admin.users):
        key: Key = ("admin", "users", number)
        if user.name in names:
            yield (*key, "name"), f"user {user.name} is there twice; give each user another name"
        names.add(user.name)
        for unknown in sorted(set(user.authorities) - {"*"} - config.authorities.keys()):
            yield (
                (*key, "authorities"),
                f"no authority is called {unknown!r}; {did_you_mean(unknown, config.authorities)}",
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


def _check_directories(config: Config) -> Iterator[Fault]:
    """Two authorities may not share the path of a directory sink: none may see what another receives."""
    holders: dict[Path, str] = {}
    for name, authority in config.authorities.items():
        for sink, table in authority.sinks.items():
            path = table.get("path")
            if table["type"] != "directory" or not isinstance(path, str):
                continue
            first = holders.setdefault(Path(path).resolve(), name)
            if first != name:
                yield (
                    ("authorities", name, "sinks", sink, "path"),
                    f"{path} is also the path of a sink of authority {first}; give each authority its own",
                )


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
