# SPDX-License-Identifier: EUPL-1.2

"""The kinds of value a configuration has beside text: sizes, durations, addresses, paths, PartyIds."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from cryptography import x509
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from adapter.pki import is_oin, strip_suffix

_SIZE = re.compile(r"(\d+) ?(B|kB|MB|GB|KiB|MiB|GiB)?")
_UNITS = {
    None: 1,
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_DURATION = re.compile(r"(\d+) ?(ms|s|m|h|d)")
_SPANS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_RATE = re.compile(r"(\d{1,6}) ?/ ?(s|m|h)")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_][A-Za-z0-9._-]*)*/?")
_MAX_DAYS = 3650
_MAX_PORT = 65535
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_URL_PATH = re.compile(r"/[^?#\s]*")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_ELEMENT = re.compile(r"[^\W\d][\w.-]*")
_OIN_URN = "urn:osb:oin:"


class Section(BaseModel):
    """A table of the configuration: immutable, and with no options but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_size(value: object) -> int:
    """Return a number of octets from ``"100 MiB"``, ``"64 kB"`` or a number.

    Raises:
        ValueError: it is none of these, or zero.

    """
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError(
            'is not a size; write a number of bytes, or as "100 MiB" (kB, MB, GB, KiB, MiB, GiB)'
        )
    return int(match[1]) * _UNITS[match[2]]


def parse_duration(value: object) -> timedelta:
    """Return a time span, longer than zero, from ``"10s"``, ``"250ms"``, ``"5m"``, ``"1h"`` or ``"5d"``.

    Raises:
        ValueError: it is none of these, or longer than ten years.

    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    wrong = 'is not a duration; write a number with a unit, as "10s" (ms, s, m, h, d)'
    if match is None or len(match[1]) > len(str(_MAX_DAYS * 24 * 3600)):
        raise ValueError(wrong)
    span = int(match[1]) * _SPANS[match[2]]
    if not timedelta() < span <= timedelta(days=_MAX_DAYS):
        raise ValueError(wrong)
    return span


def parse_period(value: object) -> timedelta:
    """Return a time span as `parse_duration` does, and none at all from ``"off"``.

    Raises:
        ValueError: it is neither.

    """
    if value == "off":
        return timedelta()
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}, or "off"') from error


def parse_rate(value: object) -> float:
    """Return how many a second, more than zero, from ``"20/s"``, ``"300/m"`` or ``"1000/h"``.

    Raises:
        ValueError: it is none of these.

    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError(
            'is not a rate; write a number per second, minute or hour, as "20/s", "300/m" or "1000/h"'
        )
    return int(match[1]) / _SPANS[match[2]].total_seconds()


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener listens: a host name or IP address (without brackets), and a port; 0 is any free
    port.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read ``host:port``; an IPv6 address stands in brackets.

        Raises:
            ValueError: it is something else.

        """
        if isinstance(value, cls):
            return value
        host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        if not colon or not host or (":" in host) != bracketed or not port.isascii() or not port.isdigit():
            raise ValueError(
                'is not an address to listen on; write host:port, as "127.0.0.1:8080" or "[::1]:8080"'
            )
        if int(port) > _MAX_PORT:
            raise ValueError(f"has a port above {_MAX_PORT}; choose a lower one")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def resolve(path: Path, info: ValidationInfo) -> Path:
    """Make a path absolute, relative to the directory of the configuration file where that is known.

    One that begins with ``${CREDENTIALS_DIRECTORY}`` is a file that the service manager hands over (systemd.exec(5),
    LoadCredential); where there is none, it is left as it is, and cannot be read.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if path.parts[:1] == ("${CREDENTIALS_DIRECTORY}",) and credentials:
        return Path(credentials, *path.parts[1:])
    base: Path | None = (info.context or {}).get("base")
    return base / path if base is not None else path


def freeze(value: Any) -> Any:
    """Return a raw table that cannot be changed: tables as mapping proxies, lists as tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    return tuple(freeze(item) for item in value) if isinstance(value, list | tuple) else value


def check_name(name: str) -> str:
    """Accept a name of an authority or sink: it labels counters and becomes part of file names."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            "is not a name; use letters, digits, '-', '_' and '.', and start with a letter or digit"
        )
    return name


def check_oin(text: str) -> str:
    """Accept an OIN."""
    if not is_oin(text):
        raise ValueError(f"{text!r} is not an OIN of 20 positions, as 00000001001100415000")
    return text


def check_party(text: str) -> str:
    """Accept a PartyId: an OIN, with or without its URN and the suffix of a test environment (KV ch05)."""
    if not is_oin(strip_suffix(text).removeprefix(_OIN_URN)):
        raise ValueError(
            f"{text!r} is not a PartyId; write it as in the CPA, as urn:osb:oin:00000001001100415000"
        )
    return text


def check_subject(text: str) -> str:
    """Accept the subject of a certificate, as RFC 4514 writes it."""
    try:
        x509.Name.from_rfc4514_string(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not the subject of a certificate; write it as "
            "`openssl x509 -noout -subject -nameopt RFC2253` does"
        ) from error
    return text


def check_network(text: str) -> str:
    """Accept an IP address or a network in CIDR form."""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an IP address or network, as 10.0.0.7 or 10.0.0.0/24") from error
    return text


def check_header_name(text: str) -> str:
    """Accept the name of an HTTP header."""
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not the name of a header; use letters, digits and '-', as Client-Cert")
    return text


def check_certificate_name(text: str) -> str:
    """Accept an OIN, or the SHA-256 fingerprint of a certificate, which is returned in lower case, without colons."""
    fingerprint = text.replace(":", "").lower()
    if is_oin(text) or _FINGERPRINT.fullmatch(fingerprint) is not None:
        return fingerprint if len(fingerprint) == 64 else text
    raise ValueError(
        f"{text!r} is neither an OIN nor a SHA-256 fingerprint; see `openssl x509 -noout -fingerprint -sha256`"
    )


def check_element_name(value: str) -> str:
    """Return the local name of an XML element.

    Raises:
        ValueError: it cannot be one.

    """
    if not _ELEMENT.fullmatch(value):
        raise ValueError('is not the name of an element; write it without a prefix, as "verzoeknummer"')
    return value


def check_element_path(value: str) -> str:
    """Return the path to an XML element: local names with slashes between them.

    Raises:
        ValueError: one of its steps cannot be a name.

    """
    if not all(_ELEMENT.fullmatch(step) for step in value.split("/")):
        raise ValueError(
            "is not a path of names of elements; write the names without a prefix and with a slash between them, "
            'as "trigger/verzoeknummer"'
        )
    return value


def listed(value: object) -> object:
    """Return one text as a list of it, and anything else as it is."""
    return (value,) if isinstance(value, str) else value


def is_bucket_url(text: str) -> bool:
    """Whether this names a bucket of an object store, with or without a prefix in it."""
    return _BUCKET.fullmatch(text) is not None


def check_bucket_url(text: str) -> str:
    """Accept a bucket of an object store, with or without a prefix; without a slash at its end."""
    if not is_bucket_url(text):
        raise ValueError('is not a place in an object store; write "s3://bucket/prefix"')
    return text.rstrip("/")


def check_url_path(text: str) -> str:
    """Accept the path of an address.

    Raises:
        ValueError: it is none.

    """
    if not _URL_PATH.fullmatch(text):
        raise ValueError('is not the path of an address; begin it with a slash, without ? and #, as "/ebms"')
    return text


def check_url(text: str, what: str = "a base URL") -> str:
    """Accept the address of an API, without a query and without who asks it."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"is not {what}; write https://host/path")
    if parts.username is not None:
        raise ValueError("has a user in it; leave that out")
    return text


ByteSize = Annotated[int, BeforeValidator(parse_size)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Period = Annotated[timedelta, BeforeValidator(parse_period)]
Rate = Annotated[float, BeforeValidator(parse_rate)]
Address = Annotated[Listen, BeforeValidator(Listen.parse)]
ConfigPath = Annotated[Path, AfterValidator(resolve)]
Name = Annotated[str, AfterValidator(check_name)]
Oin = Annotated[str, AfterValidator(check_oin)]
Party = Annotated[str, AfterValidator(check_party)]
BucketUrl = Annotated[str, AfterValidator(check_bucket_url)]
HeaderName = Annotated[str, AfterValidator(check_header_name)]
CertificateName = Annotated[str, AfterValidator(check_certificate_name)]
Subject = Annotated[str, Field(min_length=1), AfterValidator(check_subject)]
Network = Annotated[str, AfterValidator(check_network)]
ElementName = Annotated[str, AfterValidator(check_element_name)]
ElementPaths = Annotated[
    tuple[Annotated[str, AfterValidator(check_element_path)], ...], BeforeValidator(listed)
]
BaseUrl = Annotated[str, AfterValidator(check_url)]
UrlPath = Annotated[str, AfterValidator(check_url_path)]
Text = Annotated[str, Field(min_length=1)]
