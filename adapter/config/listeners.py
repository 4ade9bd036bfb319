# SPDX-License-Identifier: EUPL-1.2

"""The options of the two listeners: for partners, with the proxies before it, and for users of the admin listener."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from adapter.config.key_files import KeyFiles
from adapter.config.values import (
    Address,
    BaseUrl,
    ByteSize,
    CertificateName,
    ConfigPath,
    Duration,
    HeaderName,
    Listen,
    Name,
    Network,
    Rate,
    Section,
    Subject,
    UrlPath,
    freeze,
)
from adapter.pki import CertificateForm


class Role(StrEnum):
    """What a user of the admin listener may do; each includes the one before it."""

    LOOK = "look"
    REPAIR = "repair"
    ADMINISTER = "administer"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what needs the other."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


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
