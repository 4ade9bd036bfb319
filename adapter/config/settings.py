# SPDX-License-Identifier: EUPL-1.2

"""Every option of the configuration, with its default: the typed form of the TOML file, immutable once
loaded.
"""

from collections.abc import Mapping
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
    field_validator,
    model_validator,
)

from adapter.config.authority import AuthorityConfig
from adapter.config.lines import Key
from adapter.config.listeners import AdminConfig, EbmsConfig
from adapter.config.notifications import ChannelConfig
from adapter.config.problems import Origin, show_key
from adapter.config.retention import RetentionConfig, StoreRetentionConfig
from adapter.config.values import (
    BaseUrl,
    ByteSize,
    ConfigPath,
    Duration,
    Name,
    Section,
    freeze,
    is_bucket_url,
)
from adapter.pki import RevocationMode


class Environment(StrEnum):
    """Where the adapter runs; ``test`` allows what the others refuse."""

    PRE = "pre"
    PROD = "prod"
    TEST = "test"

    @property
    def guards_keys(self) -> bool:
        """Whether a key file that others than its owner may use is refused."""
        return self is not Environment.TEST


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
