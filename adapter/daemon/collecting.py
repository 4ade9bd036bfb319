# SPDX-License-Identifier: EUPL-1.2

"""Where each authority collects its verzoeken from: a client of Verzoek afhandelen with its keys and OIN."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from adapter.config import Config, ConfigProblem, DsoConfig, read_secret
from adapter.daemon.api_client import api_client
from adapter.net import ClientCredentials, HttpClient, OauthSettings, Throttle, Timeouts, Witnesses
from adapter.observe import Metrics
from adapter.pki import KeyPair, KeyProblem, Revocation, TrustStore
from adapter.stam import (
    CollectSettings,
    DirectPaths,
    DsoSettings,
    LinkRules,
    RequestObserver,
    VerzoekAfhandelen,
    dso_lane,
    unobserved,
)
from adapter.work import Limits

Source = tuple[VerzoekAfhandelen, CollectSettings]


@dataclass(frozen=True, slots=True)
class _Access:
    """What an authority gets in with: its keys, and the secrets of its [dso], where it has them."""

    keys: KeyPair
    api_key: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Sources:
    """The clients of all authorities, each made when it is first asked for."""

    config: Config
    keys: Mapping[str, KeyPair]
    trust: TrustStore
    clock: Callable[[], datetime]
    revocation: Revocation = field(default_factory=Revocation.off)
    metrics: Metrics | None = None
    witnesses: Witnesses | None = None
    _access: Mapping[str, _Access] = field(init=False, repr=False)
    _made: dict[str, Source] = field(default_factory=dict)
    _wide: dict[str, int] = field(init=False)
    _throttles: dict[str, Throttle] = field(default_factory=dict)
    _clients: list[HttpClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the keys that differ from the authority's own, and the secrets. Raises ConfigProblem."""
        self._access = {
            name: _read_access(self.config, name, settings.dso, self.keys[name])
            for name, settings in self.config.authorities.items()
            if settings.dso is not None
        }
        usual = Limits().lane
        self._wide = {
            dso_lane(name): settings.dso.concurrency
            for name, settings in self.config.authorities.items()
            if settings.dso is not None and settings.dso.concurrency > usual
        }

    def source(self, authority: str) -> Source | None:
        """Where this authority collects from; None where it has no [dso]."""
        settings = self.config.authorities.get(authority)
        if settings is None or settings.dso is None:
            return None
        if authority not in self._made:
            self._made[authority] = self._make(authority, settings.oin, settings.dso)
        return self._made[authority]

    def rooms(self) -> Mapping[str, int]:
        """How many jobs may run in the lanes of sources, where that is not as in every lane: none of one that rests.

        Who asks for more requests at a time gets as many verzoeken, which may have one file each.
        """
        if not self._throttles:  # asked for at each look for work
            return self._wide
        return self._wide | {dso_lane(name): 0 for name, one in self._throttles.items() if one.left}

    def next_change(self) -> datetime | None:
        """When the first of the sources that rest may be asked again; None where none rests."""
        if not self._throttles:
            return None
        left = [one.left for one in self._throttles.values() if one.left]
        return self.clock() + min(left) if left else None

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            await client.close()

    def _make(self, authority: str, oin: str, dso: DsoConfig) -> Source:
        access = self._access[authority]
        throttle = Throttle(f"Verzoek afhandelen for {authority}", dso.concurrency, dso.rate)
        self._throttles[authority] = throttle
        http = self._http(dso, access, dso.url, map(_host, dso.hosts))
        client = VerzoekAfhandelen(
            http,
            _settings(oin, dso, access),
            self.clock,
            throttle,
            self._tokens(dso, access),
            self._observer(authority),
        )
        return client, CollectSettings()

    def _observer(self, authority: str) -> RequestObserver:
        if self.metrics is None:
            return unobserved
        answers, seconds = self.metrics.dso_requests_total, self.metrics.dso_request_seconds.labels(authority)

        def observe(outcome: str, took: float) -> None:
            answers.labels(authority, outcome).inc()
            seconds.observe(took)

        return observe

    def _tokens(self, dso: DsoConfig, access: _Access) -> ClientCredentials | None:
        """Where access tokens come from: a host of its own, where no link may lead."""
        if dso.oauth is None:
            return None
        return ClientCredentials(
            self._http(dso, access, dso.oauth.token_url),
            OauthSettings(
                token_url=dso.oauth.token_url,
                client_id=dso.oauth.client_id,
                client_secret=access.client_secret,
                scope=dso.oauth.scope,
                secret_in_body=dso.oauth.authentication == "post",
            ),
        )

    def _http(self, dso: DsoConfig, access: _Access, url: str, hosts: Iterable[str] = ()) -> HttpClient:
        client = api_client(
            self.config,
            url,
            access.keys,
            self.trust,
            Timeouts(read=dso.timeout),
            hosts=hosts,
            revocation=self.revocation,
            witnesses=self.witnesses,
        )
        self._clients.append(client)
        return client


def _settings(oin: str, dso: DsoConfig, access: _Access) -> DsoSettings:
    direct = dso.direct_paths
    return DsoSettings(
        url=dso.url,
        oin=oin,
        references=dso.references,
        direct=DirectPaths(direct.verzoek, direct.pdf, direct.document) if direct is not None else None,
        search=dso.search,
        parameters=tuple(dso.parameters.items()),
        oin_header=dso.oin_header,
        api_key=access.api_key,
        api_key_header=dso.api_key_header,
        hosts=dso.hosts,
        links=LinkRules(verzoek=dso.links.verzoek, pdf=dso.links.pdf, document=dso.links.document),
        check_announced=dso.check_announced,
    )


def _read_access(config: Config, authority: str, dso: DsoConfig, keys: KeyPair) -> _Access:
    """Raises ConfigProblem."""
    secret_file = dso.oauth.client_secret_file if dso.oauth is not None else None
    try:
        return _Access(
            dso.own_keys.load(strict=config.environment.guards_keys) if dso.own_keys is not None else keys,
            read_secret(dso.api_key_file) if dso.api_key_file is not None else None,
            read_secret(secret_file) if secret_file is not None else None,
        )
    except (KeyProblem, ValueError) as problem:
        place = ("authorities", authority, "dso")
        raise ConfigProblem([config.problem_with(place, dso, str(problem))]) from problem


def _host(place: str) -> str:
    """The host of a `host` or `host:port`."""
    return urlsplit(f"//{place}").hostname or place
