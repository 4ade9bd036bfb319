# SPDX-License-Identifier: EUPL-1.2

"""The configuration: one TOML file, checked as a whole before anything starts."""

from adapter.config.authority import (
    AgreementConfig,
    AuthorityConfig,
    CertificateRenewal,
    Flow,
    NotificationConfig,
    RouteConfig,
    VerzoekTraits,
)
from adapter.config.checks import dso_environment
from adapter.config.dso import DirectConfig, DsoConfig, FetchStrategy, LinksConfig, OauthConfig
from adapter.config.files import FileState, Mark, look_at, mark_of, paths_in
from adapter.config.key_files import KeyFiles, with_key_of_bundle
from adapter.config.lines import Key
from adapter.config.listeners import (
    AdminConfig,
    AdminTlsConfig,
    AdminUser,
    EbmsConfig,
    ProxyConfig,
    Role,
    TlsConfig,
)
from adapter.config.load import authority_files, load_config
from adapter.config.notifications import (
    EVERYBODY,
    ChannelConfig,
    ChannelType,
    MailTls,
    NotificationEvent,
    WebhookFormat,
)
from adapter.config.problems import ConfigProblem, did_you_mean
from adapter.config.publish import PublishBody, PublishConfig
from adapter.config.reconcile import (
    AreaForm,
    Paging,
    ReconcileConfig,
    SearchRequestConfig,
    SearchResponseConfig,
)
from adapter.config.reload import ConfigFiles, Problems, Renewal, without
from adapter.config.retention import RetentionConfig
from adapter.config.secrets import read_secret
from adapter.config.settings import (
    Config,
    Environment,
    HealthConfig,
    LimitsConfig,
    LogConfig,
    OutgoingConfig,
    RetriesConfig,
    RevocationConfig,
    S3Config,
    StoreConfig,
    TracingConfig,
    TrustConfig,
)
from adapter.config.syntax import read_table
from adapter.config.values import (
    BucketUrl,
    ByteSize,
    ConfigPath,
    Duration,
    Listen,
    parse_duration,
    parse_rate,
    parse_size,
)

__all__ = [
    "EVERYBODY",
    "AdminConfig",
    "AdminTlsConfig",
    "AdminUser",
    "AgreementConfig",
    "AreaForm",
    "AuthorityConfig",
    "BucketUrl",
    "ByteSize",
    "CertificateRenewal",
    "ChannelConfig",
    "ChannelType",
    "Config",
    "ConfigFiles",
    "ConfigPath",
    "ConfigProblem",
    "DirectConfig",
    "DsoConfig",
    "Duration",
    "EbmsConfig",
    "Environment",
    "FetchStrategy",
    "FileState",
    "Flow",
    "HealthConfig",
    "Key",
    "KeyFiles",
    "LimitsConfig",
    "LinksConfig",
    "Listen",
    "LogConfig",
    "MailTls",
    "Mark",
    "NotificationConfig",
    "NotificationEvent",
    "OauthConfig",
    "OutgoingConfig",
    "Paging",
    "Problems",
    "ProxyConfig",
    "PublishBody",
    "PublishConfig",
    "ReconcileConfig",
    "Renewal",
    "RetentionConfig",
    "RetriesConfig",
    "RevocationConfig",
    "Role",
    "RouteConfig",
    "S3Config",
    "SearchRequestConfig",
    "SearchResponseConfig",
    "StoreConfig",
    "TlsConfig",
    "TracingConfig",
    "TrustConfig",
    "VerzoekTraits",
    "WebhookFormat",
    "authority_files",
    "did_you_mean",
    "dso_environment",
    "load_config",
    "look_at",
    "mark_of",
    "parse_duration",
    "parse_rate",
    "parse_size",
    "paths_in",
    "read_secret",
    "read_table",
    "with_key_of_bundle",
    "without",
]
