# SPDX-License-Identifier: EUPL-1.2

"""Every option of the configuration, with its default: the typed form of the TOML file, immutable once
loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from adapter.config.dso import DsoConfig
from adapter.config.files import paths_in
from adapter.config.key_files import KeyFiles, SpareKeyFiles
from adapter.config.lines import Key
from adapter.config.notifications import ChannelConfig
from adapter.config.problems import Origin, show_key
from adapter.config.publish import PublishConfig
from adapter.config.reconcile import ReconcileConfig
from adapter.config.values import (
    Address,
    BaseUrl,
    ByteSize,
    CertificateName,
    ConfigPath,
    Duration,
    ElementName,
    ElementPaths,
    HeaderName,
    Listen,
    Name,
    Network,
    Oin,
    Party,
    Period,
    Rate,
    Section,
    Subject,
    UrlPath,
    freeze,
    is_bucket_url,
    resolve,
)
from adapter.pki import CertificateForm, RevocationMode, strip_suffix
from adapter.verzoek import DEFAULT_ROOTS, NotificationRules, known_doel
from cpa import PartyId


class Environment(StrEnum):
    """Where the adapter runs; ``test`` allows what the others refuse."""

    PRE = "pre"
    PROD = "prod"
    TEST = "test"

    @property
    def guards_keys(self) -> bool:
        """Whether a key file that others than its owner may use is refused."""
        return self is not Environment.TEST


class Role(StrEnum):
    """What a user of the admin listener may do; each includes the one before it."""

    LOOK = "look"
    REPAIR = "repair"
    ADMINISTER = "administer"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what needs the other."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


class Flow(StrEnum):
    """What happens with a received message: collect the verzoek and deliver that, or deliver its payloads."""

    STAM = "stam"
    MESSAGE = "message"


class CertificateRenewal(StrEnum):
    """Which certificate may sign for the partner: another one with the same OIN too, or only the one in the
    CPA.
    """

    SAME_OIN = "same-oin"
    CPA = "cpa"


class S3Config(Section):
    """``[store.s3]``, and part of the table of an s3 sink: how to get into the object store; what is not set here, the
    environment or the machine tells.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key_file: ConfigPath | None = None
    roots: ConfigPath | None = None

    @field_validator("endpoint")
    @classmethod
    def _is_server(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://none")
        odd = parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username
        if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
            raise ValueError("is not the address of a server; write https://host or https://host:port")
        return value

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.access_key is None) != (self.secret_key_file is None):
            raise ValueError(
                "access_key and secret_key_file go together; give both, or neither to use others"
            )
        return self


class StoreConfig(Section):
    """``[store]``: database and place of payloads."""

    url: str = "sqlite"
    payloads: str = "file"
    s3: S3Config = S3Config()

    @property
    def keeps_files(self) -> bool:
        """Whether payloads are files below the state directory."""
        return self.payloads == "file"

    @field_validator("url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value != "sqlite" and not value.startswith("postgresql://"):
            raise ValueError('is not a database; write "sqlite" or "postgresql://user@host/db"')
        return value

    @field_validator("payloads")
    @classmethod
    def _known_place(cls, value: str) -> str:
        if value != "file" and not is_bucket_url(value):
            raise ValueError('is not a place for payloads; write "file" or "s3://bucket/prefix"')
        return value


_USUAL_REVOCATION: Final = {
    Environment.PROD: RevocationMode.HARD,
    Environment.PRE: RevocationMode.SOFT,
    Environment.TEST: RevocationMode.OFF,
}


class RevocationConfig(Section):
    """``[trust.revocation]``: revocation lists; the `mode` follows from the environment where it is not set."""

    mode: RevocationMode | None = None
    urls: tuple[str, ...] = ()
    refresh: Duration = timedelta(hours=4)
    max_size: ByteSize = 64 * 1024 * 1024

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
                raise ValueError(f"{value!r} is not the address of a list; write http://host/path")
        return values


class TrustConfig(Section):
    """``[trust]``: root certificates, several at a time, and authorities below them."""

    roots: tuple[ConfigPath, ...] = ()
    intermediates: tuple[ConfigPath, ...] = ()
    revocation: RevocationConfig = RevocationConfig()


class TlsConfig(KeyFiles):
    """``[ebms.tls]`` and ``[admin.tls]``: certificate (with chain) and key of a listener.

    `certificates` are further ones, each for who asks for a server name in it.
    """

    certificates: tuple[KeyFiles, ...] = ()

    @property
    def pairs(self) -> tuple[KeyFiles, ...]:
        """All of them, first the one that is shown where no other fits."""
        return (self, *self.certificates)


_USUAL_HEADERS = {
    CertificateForm.RFC9440: "Client-Cert",
    CertificateForm.NGINX: "X-SSL-Client-Cert",
    CertificateForm.HAPROXY: "X-SSL-Client-Cert",
    CertificateForm.TRAEFIK: "X-Forwarded-Tls-Client-Cert",
}


class ProxyConfig(Section):
    """``[ebms.proxy]``: how the trusted proxies hand over the certificate and the address of a partner, and who they
    are; by default as RFC 9440 says.
    """

    form: CertificateForm = CertificateForm.RFC9440
    header: HeaderName | None = None
    chain_header: HeaderName | None = None
    address_header: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"
    certificate: CertificateName | None = None

    @property
    def certificate_header(self) -> str:
        """The header with the certificate of the partner."""
        return self.header or _USUAL_HEADERS[self.form]


class EbmsConfig(Section):
    """``[ebms]``: the listener for partners. Without ``tls`` it speaks plain HTTP, for tests and behind a
    proxy.
    """

    listen: Address = Listen("0.0.0.0", 8443)  # noqa: S104 - partners come from outside
    path: UrlPath = "/ebms"
    max_message: ByteSize = 100 * 1024 * 1024
    read_timeout: Duration = timedelta(seconds=30)
    networks: tuple[Network, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    proxy: ProxyConfig | None = None
    tls: TlsConfig | None = None


class AdminUser(Section):
    """``[[admin.users]]``: who may use status page and APIs, how they prove who they are, and what they may do for
    which authorities (``*`` is all): one role for each of ``authorities``, or each its own in ``roles``.
    """

    name: Name
    token_file: ConfigPath | None = None
    certificate: ConfigPath | None = None
    certificate_subject: Subject | None = None
    role: Role | None = None
    authorities: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    roles: Annotated[Mapping[str, Role], Field(min_length=1), AfterValidator(freeze)] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if sum(one is not None for one in (self.token_file, self.certificate, self.certificate_subject)) != 1:
            raise ValueError(
                "a user proves who it is in one way; give token_file, certificate or certificate_subject"
            )
        together = self.role is not None and self.authorities is not None
        apart = self.role is None and self.authorities is None
        if together == (self.roles is not None) or not (together or apart):
            raise ValueError(
                'give role and authorities, or roles = { name = "repair", "*" = "look" }, and not both'
            )
        return self

    @property
    def role_of(self) -> Mapping[str, Role]:
        """The role for each authority; that for ``*`` is for all that have none of their own."""
        if self.roles is not None:
            return self.roles
        return dict.fromkeys(self.authorities or (), self.role or Role.LOOK)


class AdminTlsConfig(TlsConfig):
    """``[admin.tls]``: users may show a certificate that chains to one of ``client_roots``."""

    client_roots: tuple[ConfigPath, ...] = ()


class AdminConfig(Section):
    """``[admin]``: the listener for operators and their tools; ``rate`` is how many requests one user may make, ``url``
    where people reach it, ``theme`` a style sheet that is laid over that of the status page.
    """

    listen: Address = Listen("127.0.0.1", 8080)
    url: BaseUrl | None = None
    trusted_proxies: tuple[Network, ...] = ()
    tls: AdminTlsConfig | None = None
    rate: Rate = 100.0
    theme: ConfigPath | None = None
    users: tuple[AdminUser, ...] = ()


class RetriesConfig(Section):
    """``[retries]``: how soon, how seldom and how long work that failed is tried again."""

    first: Duration = timedelta(seconds=10)
    max: Duration = timedelta(hours=1)
    give_up: Duration = timedelta(days=5)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.first <= self.max <= self.give_up:
            raise ValueError("first, max and give_up are out of order; make each at least the one before it")
        return self


class RetentionConfig(Section):
    """``[retention]`` and ``[authorities.<name>.retention]``: how long is kept what came to its end."""

    payloads: Duration = timedelta(days=30)
    messages: Duration = timedelta(days=400)
    timeline: Duration = timedelta(days=400)


class StoreRetentionConfig(RetentionConfig):
    """``[retention]``, which also has what is not of one authority."""

    audit: Duration = timedelta(days=400)


class LogConfig(Section):
    """``[log]``: form and lowest level of the log lines."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error", "critical"] = "info"


class TracingConfig(Section):
    """``[tracing]``: where traces go, and which part of them; without the table none are made.

    `headers_file` has a header per line, as ``Authorization: Bearer …``.
    """

    endpoint: BaseUrl
    headers_file: ConfigPath | None = None
    roots: ConfigPath | None = None
    ratio: float = Field(default=1.0, ge=0.0, le=1.0)
    service: str = Field(default="stam-adapter", min_length=1, max_length=100)


class HealthConfig(Section):
    """``[health]``: from where on something is said, or messages are not received any more."""

    free: ByteSize = 256 * 1024 * 1024
    free_warning: ByteSize = 2 * 1024 * 1024 * 1024
    sink_free: ByteSize = 1024 * 1024 * 1024
    sink_probe: Duration = timedelta(minutes=15)
    backlog_age: Duration = timedelta(hours=1)
    clock_skew: Duration = timedelta(seconds=5)
    loop_lag: Duration = timedelta(seconds=1)
    stuck: Duration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.free_warning < self.free:
            raise ValueError("free_warning is less than free; warn before it is too late")
        return self


class OutgoingConfig(Section):
    """``[outgoing]``: how the adapter gets out: through a forward proxy, except to the hosts of ``no_proxy``."""

    proxy: str | None = None
    no_proxy: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError("is not the address of a forward proxy; write http://host:port")
        return value

    def proxy_for(self, host: str) -> str | None:
        """The proxy to reach a host through; None to go straight. A name in `no_proxy` covers its subdomains."""
        name = host.lower().rstrip(".")
        straight = any(name == one or name.endswith(f".{one.lstrip('.')}") for one in self.no_proxy)
        return None if straight else self.proxy


class LimitsConfig(Section):
    """``[limits]``: how much is worked on at the same time and for how long, and beyond what a partner is told to come
    again later.
    """

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    concurrency_per_authority: Annotated[int, Field(ge=1, le=1000)] = 16
    connections: Annotated[int, Field(ge=1, le=60_000)] = 768
    requests: Annotated[int, Field(ge=1, le=10_000)] = 512
    requests_per_partner: Annotated[int, Field(ge=1, le=10_000)] = 256
    backlog: Annotated[int, Field(ge=1)] = 200_000
    backlog_per_authority: Annotated[int, Field(ge=1)] = 50_000
    spool: ByteSize | None = None
    spool_per_authority: ByteSize | None = None
    free: ByteSize = 256 * 1024 * 1024
    delivery_time: Duration = timedelta(hours=1)


class AgreementConfig(Section):
    """``[authorities.<name>.agreements."<CPA id>"]``: what differs from the defaults for one agreement."""

    acts_for: tuple[Oin, ...] = ()
    certificate_renewal: CertificateRenewal = CertificateRenewal.SAME_OIN
    legacy: bool = False
    lenient: bool = False
    strict: bool = False
    max_message: ByteSize | None = None
    ping_every: Period | None = None
    ping_failures: Annotated[int, Field(ge=1, le=100)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.lenient and self.strict:
            raise ValueError("lenient and strict are both true; choose one")
        return self


class NotificationConfig(Section):
    """``[authorities.<name>.notification]``: what a notification is called and where it says what, by local
    names; without paths, volgnummer, doel and type are looked for beside the verzoeknummer.
    """

    roots: Annotated[tuple[ElementName, ...], Field(min_length=1)] = DEFAULT_ROOTS
    verzoeknummer: Annotated[ElementPaths, Field(min_length=1)] = ("verzoeknummer",)
    volgnummer: ElementPaths = ()
    doel: ElementPaths = ()
    type: ElementPaths = ()

    @property
    def rules(self) -> NotificationRules:
        """How to read a notification of this authority."""
        return NotificationRules(self.roots, self.verzoeknummer, self.volgnummer, self.doel, self.type)


@dataclass(frozen=True, slots=True)
class VerzoekTraits:
    """What a route can choose a verzoek by; organisations by their OIN. `copy`: it is another's to handle."""

    doel: str | None
    type: str | None
    copy: bool
    bevoegd_gezag: str | None
    behandeldienst: str | None


def _doel(text: str | None) -> str | None:
    """A doel as STAM 4.0 calls it, where it is known."""
    return known_doel(text) or text


class RouteConfig(Section):
    """``[[authorities.<name>.routes]]``: which messages take which flow to which sink; left out matches
    all.

    What is said of the verzoek itself counts once it was collected.
    """

    service: str | None = None
    action: str | None = None
    flow: Flow
    sink: str
    doel: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    copies: bool | None = None
    bevoegd_gezag: tuple[Oin, ...] = ()
    behandeldienst: tuple[Oin, ...] = ()

    @model_validator(mode="after")
    def _knows_what_it_asks_for(self) -> Self:
        chosen = [self.doel, self.type, self.bevoegd_gezag, self.behandeldienst]
        if self.flow is Flow.MESSAGE and (any(chosen) or self.copies is not None):
            raise ValueError(
                'flow "message" knows no verzoek; leave out doel, type, copies, bevoegd_gezag and behandeldienst'
            )
        return self

    def takes(self, verzoek: VerzoekTraits) -> bool:
        """Whether a verzoek is what this route asks for."""
        wanted = (
            ([_doel(doel) for doel in self.doel], _doel(verzoek.doel)),
            (self.type, verzoek.type),
            (self.bevoegd_gezag, verzoek.bevoegd_gezag),
            (self.behandeldienst, verzoek.behandeldienst),
        )
        return self.copies in {None, verzoek.copy} and all(
            not asked or found in asked for asked, found in wanted
        )


def _sink_table(table: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    kind = table.get("type")
    if not isinstance(kind, str) or not kind:
        raise ValueError('has no type; add one, as type = "directory"')
    path = table.get("path")
    located = dict(table) | ({"path": str(resolve(Path(path), info))} if isinstance(path, str) else {})
    frozen: Mapping[str, Any] = freeze(located)
    return frozen


# The options of a sink stay a raw table here: only the sink knows them, and it stands on a higher floor.
SinkTable = Annotated[Mapping[str, Any], AfterValidator(_sink_table)]


class AuthorityConfig(KeyFiles):
    """``[authorities.<name>]``: one competent authority, with what it agreed, and where its messages go."""

    party: Party
    cpas: tuple[ConfigPath, ...] = ()
    spare_keys: tuple[SpareKeyFiles, ...] = ()
    ping_every: Period = timedelta()
    ping_failures: Annotated[int, Field(ge=1, le=100)] = 3
    agreements: Annotated[Mapping[str, AgreementConfig], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )
    dso: DsoConfig | None = None
    notification: NotificationConfig = NotificationConfig()
    retention: RetentionConfig = RetentionConfig()
    reconcile: ReconcileConfig | None = None
    publish: PublishConfig | None = None
    routes: tuple[RouteConfig, ...] = ()
    sinks: Annotated[Mapping[Name, SinkTable], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )

    @property
    def key_files(self) -> tuple[Path, ...]:
        """Every file that is named here, as those of keys, but for CPAs and what is named by the sinks."""
        return tuple(paths_in({name: value for name, value in self if name != "cpas"}))

    @property
    def party_id(self) -> PartyId:
        """The PartyId that ``party`` writes as ``type:value``, or without a type."""
        kind, _, value = self.party.rpartition(":")
        return PartyId(value, kind or None)

    @property
    def oin(self) -> str:
        """The OIN in ``party``, without the suffix of a test environment (OIN-07)."""
        return strip_suffix(self.party_id.value)

    def ping_every_of(self, cpa_id: str) -> timedelta | None:
        """How often the partner of an agreement is pinged; None for never."""
        own = self.agreements.get(cpa_id)
        every = self.ping_every if own is None or own.ping_every is None else own.ping_every
        return every or None

    def ping_failures_of(self, cpa_id: str) -> int:
        """After how many failures in a row the partner of an agreement counts as unreachable."""
        own = self.agreements.get(cpa_id)
        return self.ping_failures if own is None or own.ping_failures is None else own.ping_failures

    @property
    def stam_sink(self) -> str | None:
        """The sink of the first route with flow ``stam``, where a verzoek goes that no message announced."""
        return next((route.sink for route in self.routes if route.flow is Flow.STAM), None)


class Config(Section):
    """The whole configuration."""

    environment: Environment
    state: ConfigPath = Field(default=Path("var"), validate_default=True)
    store: StoreConfig = StoreConfig()
    trust: TrustConfig = TrustConfig()
    ebms: EbmsConfig = EbmsConfig()
    admin: AdminConfig = AdminConfig()
    retries: RetriesConfig = RetriesConfig()
    retention: StoreRetentionConfig = StoreRetentionConfig()
    log: LogConfig = LogConfig()
    tracing: TracingConfig | None = None
    health: HealthConfig = HealthConfig()
    limits: LimitsConfig = LimitsConfig()
    outgoing: OutgoingConfig = OutgoingConfig()
    notifications: Annotated[Mapping[Name, ChannelConfig], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )
    authorities: Annotated[Mapping[Name, AuthorityConfig], AfterValidator(freeze)] = Field(
        default_factory=lambda: freeze({})
    )

    _base: Path = PrivateAttr(default_factory=Path.cwd)
    _origin: Origin | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Keep the directory of the file, and where each value came from."""
        if base := (context or {}).get("base"):
            self._base = base
        self._origin = (context or {}).get("origin")

    @property
    def base(self) -> Path:
        """The directory that relative paths are relative to."""
        return self._base

    @property
    def revocation(self) -> RevocationMode:
        """What is done where it cannot be known whether a certificate was revoked."""
        return self.trust.revocation.mode or _USUAL_REVOCATION[self.environment]

    @property
    def largest_message(self) -> int:
        """The octets of the largest message that any agreement allows."""
        agreements = [
            agreement.max_message
            for authority in self.authorities.values()
            for agreement in authority.agreements.values()
            if agreement.max_message is not None
        ]
        return max([self.ebms.max_message, *agreements])

    def problem(self, key: Key, text: str) -> str:
        """A problem with the value of a key, with the file and line where it stands."""
        return self._origin.problem(key, text) if self._origin is not None else f"{show_key(key)}: {text}"

    def problem_with(self, key: Key, files: BaseModel, text: str) -> str:
        """A problem with a file that is named in the section with this key, and with which its text begins."""
        named = (
            name
            for name, value in files
            if isinstance(value, Path) and text.startswith((f"{value}:", f"{value} "))
        )
        return self.problem((*key, *((name,) if (name := next(named, None)) else ())), text)

    def with_authorities(self, authorities: Mapping[str, AuthorityConfig], origin: Origin) -> Self:
        """The same configuration with these authorities, which came from `origin`."""
        copy = self.model_copy(update={"authorities": freeze(authorities)})
        copy._origin = origin
        return copy

    def only(self, authority: str) -> Self:
        """The same configuration with one authority alone."""
        return self.model_copy(update={"authorities": freeze({authority: self.authorities[authority]})})

    def retention_of(self, authority: str) -> RetentionConfig:
        """The periods of an authority: its own, and of what it does not set, those of everybody."""
        settings = self.authorities.get(authority)
        if settings is None:
            return self.retention
        own = settings.retention
        return self.retention.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
