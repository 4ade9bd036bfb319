# SPDX-License-Identifier: EUPL-1.2

"""The WS-Security header: who we are by name and password, and for how long the message counts (WSS 1.1)."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree

from adapter.sinks.soap import SoapVersion

_WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_PROFILE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
_BASE64: Final = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)
LIFETIME: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class UsernameToken:
    """A name and a password, which is sent as it is or as a `digest` with a nonce and the time."""

    username: str
    password: str = field(repr=False)
    digest: bool = False

    def header(self, version: SoapVersion, now: datetime) -> etree._Element:
        """The header of a message that is sent now; another one each time."""
        security = etree.Element(f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE, "wsu": _WSU})
        security.set(f"{{{version.namespace}}}mustUnderstand", "1")
        created = _moment(now)
        timestamp = etree.SubElement(security, f"{{{_WSU}}}Timestamp")
        etree.SubElement(timestamp, f"{{{_WSU}}}Created").text = created
        etree.SubElement(timestamp, f"{{{_WSU}}}Expires").text = _moment(now + LIFETIME)
        token = etree.SubElement(security, f"{{{_WSSE}}}UsernameToken")
        etree.SubElement(token, f"{{{_WSSE}}}Username").text = self.username
        password = etree.SubElement(token, f"{{{_WSSE}}}Password")
        if not self.digest:
            password.set("Type", f"{_PROFILE}#PasswordText")
            password.text = self.password
            return security
        nonce = secrets.token_bytes(16)
        # The profile fixes SHA-1 here; it protects nothing that TLS does not protect already.
        digest = hashlib.sha1(nonce + created.encode() + self.password.encode(), usedforsecurity=False)
        password.set("Type", f"{_PROFILE}#PasswordDigest")
        password.text = base64.b64encode(digest.digest()).decode()
        written = etree.SubElement(token, f"{{{_WSSE}}}Nonce", EncodingType=_BASE64)
        written.text = base64.b64encode(nonce).decode()
        etree.SubElement(token, f"{{{_WSU}}}Created").text = created
        return security


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
