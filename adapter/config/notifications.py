# SPDX-License-Identifier: EUPL-1.2

"""The options of notifications: which people are told of what, by which road, and how often."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from adapter.config.values import ConfigPath, Duration, Section, Text
from adapter.rendering import Language


class NotificationEvent(StrEnum):
    """What people can be told of.

    PARKED: a verzoek or message waits for an operator. CERTIFICATE, CPA: it ends soon. PARTNER: it does not answer.
    SINK: it takes no deliveries. DSO: Verzoek afhandelen cannot be collected from. BACKLOG: work waits too long.
    DATABASE: it cannot be used. RECOVERED: what was told is over.
    """

    PARKED = "parked"
    CERTIFICATE = "certificate"
    CPA = "cpa"
    PARTNER = "partner"
    SINK = "sink"
    DSO = "dso"
    BACKLOG = "backlog"
    DATABASE = "database"
    RECOVERED = "recovered"


class ChannelType(StrEnum):
    """The roads by which people are told."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class MailTls(StrEnum):
    """How the connection to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class WebhookFormat(StrEnum):
    """What a webhook gets: our JSON, or what a chat service takes."""

    JSON = "json"
    SLACK = "slack"
    TEAMS = "teams"


EVERYBODY: Final = "*"
"""Where the name of an authority may stand: all of them."""

_PORTS: Final = {MailTls.STARTTLS: 587, MailTls.TLS: 465, MailTls.NONE: 25}
_OF_EMAIL: Final = ("server", "port", "tls", "user", "password_file", "sender", "to")
_OF_WEBHOOK: Final = ("url", "url_file", "secret_file", "format")


def check_mail_address(text: str) -> str:
    """Accept the address of a mailbox, without a name beside it."""
    local, _, domain = text.rpartition("@")
    if not local or not domain or not text.isascii() or not text.isprintable() or set(text) & set(' ,;<>"'):
        raise ValueError(f"{text!r} is not a mail address; write it as beheer@example.nl")
    return text


def check_webhook_url(text: str) -> str:
    """Accept the address of a webhook; it may have a query, which often is its secret."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise ValueError("is not the address of a webhook; write https://host/path")
    if parts.username is not None:
        raise ValueError("has a user in it; leave that out")
    return text


MailAddress = Annotated[str, AfterValidator(check_mail_address)]


class ChannelConfig(Section):
    """``[notifications.<name>]``: one road to people; `type` says which of the options it has.

    `every` is the least time between two messages, `again` when what lasts is told once more.
    """

    model_config = ConfigDict(populate_by_name=True)

    type: ChannelType
    events: Annotated[tuple[NotificationEvent, ...], Field(min_length=1)] = tuple(NotificationEvent)
    authorities: Annotated[tuple[str, ...], Field(min_length=1)] = (EVERYBODY,)
    language: Language = Language.NL
    every: Duration = timedelta(minutes=15)
    again: Duration = timedelta(hours=24)
    roots: ConfigPath | None = None

    server: Text | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: MailTls = MailTls.STARTTLS
    user: Text | None = None
    password_file: ConfigPath | None = None
    sender: Annotated[MailAddress | None, Field(alias="from")] = None
    to: tuple[MailAddress, ...] = ()

    url: Annotated[str, AfterValidator(check_webhook_url)] | None = None
    url_file: ConfigPath | None = None
    secret_file: ConfigPath | None = None
    format: WebhookFormat = WebhookFormat.JSON

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        own, other = (_OF_EMAIL, _OF_WEBHOOK) if self.type is ChannelType.EMAIL else (_OF_WEBHOOK, _OF_EMAIL)
        if strange := [name for name in other if name in self.model_fields_set]:
            names = ", ".join("from" if name == "sender" else name for name in strange)
            known = ", ".join("from" if name == "sender" else name for name in own)
            raise ValueError(f'type "{self.type}" has no {names}; it has {known}')
        if self.type is ChannelType.EMAIL:
            self._check_email()
        elif (self.url is None) == (self.url_file is None):
            raise ValueError("a webhook has one address; give url, or url_file where the address is a secret")
        return self

    def _check_email(self) -> None:
        if self.server is None or self.sender is None or not self.to:
            raise ValueError("e-mail needs server, from and to; give all three")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together; give both, or neither")

    @property
    def mail_port(self) -> int:
        """The port of the mail server: as given, or the usual one."""
        return self.port if self.port is not None else _PORTS[self.tls]

    @property
    def only(self) -> frozenset[str] | None:
        """The authorities it is about; None where it is about all."""
        return None if EVERYBODY in self.authorities else frozenset(self.authorities)
