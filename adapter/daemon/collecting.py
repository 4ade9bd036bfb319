"""Where each authority collects its verzoeken from: a client of Verzoek afhandelen with its keys and OIN."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from adapter.config import Config, ConfigProblem, DsoConfig, Environment
from adapter.net import HttpClient, Timeouts
from adapter.pki import KeyPair, KeyProblem, TrustStore, load_key_pair
from adapter.stam import CollectSettings, DsoSettings, LinkRules, VerzoekAfhandelen

Source = tuple[VerzoekAfhandelen, CollectSettings]


@dataclass(slots=True)
class Sources:
    """The clients of all authorities, each made when it is first asked for."""

    config: Config
    keys: Mapping[str, KeyPair]
    trust: TrustStore
    clock: Callable[[], datetime]
    _made: dict[str, Source] = field(default_factory=dict)
    _clients: list[HttpClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the keys that differ from the authority's own. Raises ConfigProblem."""
        self.keys = {name: self._dso_keys(name) for name in self.config.authorities}

    def source(self, authority: str) -> Source | None:
        """Where this authority collects from; None where it has no [dso]."""
        settings = self.config.authorities.get(authority)
        if settings is None or settings.dso is None:
            return None
        if authority not in self._made:
            self._made[authority] = self._make(authority, settings.oin, settings.dso)
        return self._made[authority]

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            await client.close()

    def _make(self, authority: str, oin: str, dso: DsoConfig) -> Source:
        host = urlsplit(dso.url).hostname or ""
        client = HttpClient(
            key_pair=self.keys[authority],
            trust=self.trust,
            # which OIN the API's certificate carries is not published: chain and host name decide
            expected_oins=None,
            allowed_hosts=frozenset({host, *(_host(one) for one in dso.hosts)}),
            timeouts=Timeouts(read=dso.timeout),
            allow_plain=self.config.environment is Environment.TEST,
            proxy=self.config.outgoing.proxy_for(host),
        )
        self._clients.append(client)
        links = LinkRules(verzoek=dso.links.verzoek, pdf=dso.links.pdf, document=dso.links.document)
        settings = DsoSettings(
            url=dso.url,
            oin=oin,
            references=dso.references,
            search=dso.search,
            oin_header=dso.oin_header,
            hosts=dso.hosts,
            links=links,
        )
        return VerzoekAfhandelen(client, settings, self.clock), CollectSettings()

    def _dso_keys(self, authority: str) -> KeyPair:
        dso = self.config.authorities[authority].dso
        if dso is None or dso.certificate is None or dso.key is None:
            return self.keys[authority]
        try:
            return load_key_pair(dso.certificate, dso.key)
        except KeyProblem as problem:
            raise ConfigProblem([f"authority {authority}: dso: {problem}"]) from problem


def _host(place: str) -> str:
    """The host of a `host` or `host:port`."""
    return urlsplit(f"//{place}").hostname or place
