# SPDX-License-Identifier: EUPL-1.2

"""Who uses the admin listener, and what they may do: the users of the configuration, how they prove who they are, and
their roles.

A token is sent as a bearer token, or as the password of HTTP basic with the name of the user. Tokens are random, so a
plain SHA-256 of each is what is kept in memory, and compared in constant time. A certificate is shown in the TLS
handshake, which has checked its chain and dates; here it is known by its public key, or by its subject.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapter.authorities import Authorities
from adapter.config import AdminUser, ConfigProblem, Role
from adapter.pki import KeyProblem, exposure, load_certificates

CHALLENGES: Final = ('Basic realm="stam-adapter", charset="UTF-8"', 'Bearer realm="stam-adapter"')
"""What a 401 says about how to log in."""

EVERY_AUTHORITY: Final = "*"

STRONG: Final = 22
"""Characters of a token that is safe from guessing: 128 bits, where each is one of 64."""

_HASHED = re.compile(r"sha256:([0-9a-fA-F]{64})")
_DIFFERENT: Final = 10

Proof = bytes | x509.Name
"""What a user is known by: the SHA-256 of the token or of the public key, or the subject of a certificate."""


class NotAuthenticated(Exception):
    """The credentials of a request are those of no user."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the configuration, who has one of the proofs; `roles` by authority, `*` for those that have none."""

    name: str
    roles: Mapping[str, Role]
    token: bytes | None = field(default=None, repr=False)
    key: bytes | None = None
    subject: x509.Name | None = None

    def may(self, role: Role) -> bool:
        """Whether this user may do what needs a role for any authority at all."""
        return any(has.includes(role) for has in self.roles.values())

    def scope(self, known: Authorities, role: Role) -> frozenset[str]:
        """The names of the authorities for which this user may do what needs a role."""
        fallback = self.roles.get(EVERY_AUTHORITY)
        roles = ((name, self.roles.get(name, fallback)) for name in known.by_name)
        return frozenset(name for name, has in roles if has is not None and has.includes(role))


@dataclass(frozen=True, slots=True)
class Users:
    """Every user of the admin listener."""

    users: tuple[User, ...] = ()

    def authenticate(
        self, authorization: str | None, certificate: x509.Certificate | None = None
    ) -> User | None:
        """The user who sends this Authorization header, or without one, who shows this certificate; None without
        either.

        Raises:
            NotAuthenticated: the header is not of a known kind, or header or certificate are of nobody.

        """
        if authorization is None:
            return self._by_certificate(certificate) if certificate is not None else None
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_token(credentials.strip(), None)
        if scheme.lower() == "basic":
            name, token = _read_basic(credentials.strip())
            return self._by_token(token, name)
        raise NotAuthenticated("neither Basic nor Bearer")

    def has(self, name: str | None) -> bool:
        """Whether there is a user of this name."""
        return any(user.name == name for user in self.users)

    def _by_token(self, token: str, name: str | None) -> User:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        # every user is compared, also after a match, so that the time tells nothing
        matches = [
            hmac.compare_digest(digest, user.token or bytes(len(digest)))
            and user.token is not None
            and (name is None or user.name == name)
            for user in self.users
        ]
        for user, matched in zip(self.users, matches, strict=True):
            if matched:
                return user
        raise NotAuthenticated("no such user, or another token")

    def _by_certificate(self, certificate: x509.Certificate) -> User:
        key = _key_digest(certificate)
        for user in self.users:
            if user.key == key or user.subject == certificate.subject:
                return user
        raise NotAuthenticated(f"no user has the certificate of {certificate.subject.rfc4514_string()}")


def name_in(authorization: str | None) -> str | None:
    """The name in a header of HTTP basic; None where there is none, or it cannot be read."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return _read_basic(credentials.strip())[0]
    except NotAuthenticated:
        return None


def load_users(configured: Iterable[AdminUser], *, strict: bool) -> Users:
    """Read the token or certificate of every user.

    Args:
        configured: the users.
        strict: refuse a token file that others than its owner may use.

    Raises:
        ConfigProblem: a token or certificate cannot be read, or is also another user's; every such problem is in it.

    """
    users: list[User] = []
    problems: list[str] = []
    holders: dict[Proof, str] = {}
    for one in configured:
        try:
            user = _load(one, strict=strict)
        except (KeyProblem, ValueError) as problem:
            problems.append(f"admin.users {one.name}: {problem}")
            continue
        for proof in (user.token, user.key, user.subject):
            if proof is None:
                continue
            first = holders.setdefault(proof, user.name)
            if first != user.name:
                what = "token" if proof is user.token else "certificate"
                problems.append(
                    f"admin.users {user.name}: has the {what} of user {first}; give each user another {what}"
                )
        users.append(user)
    if problems:
        raise ConfigProblem(problems)
    return Users(tuple(users))


def weakness(user: AdminUser) -> str | None:
    """Why the token of a user might be guessed, with the fix; None where it is strong, is hashed, or there is none.

    Raises:
        ValueError: the file cannot be read.

    """
    text = _read_text(user.token_file) if user.token_file is not None else "sha256:"
    if text.startswith("sha256:") or (len(text) >= STRONG and len(set(text)) >= _DIFFERENT):
        return None
    return (
        f"the token in {user.token_file} is short or repeats itself, so that it might be guessed; "
        f"make it with `openssl rand -hex 32 > {user.token_file}`"
    )


def _load(user: AdminUser, *, strict: bool) -> User:
    """A user with its proof. Raises KeyProblem or ValueError."""
    if user.certificate is not None:
        key = _key_digest(load_certificates(user.certificate)[0])
        return User(user.name, user.role_of, key=key)
    if user.token_file is None:
        subject = x509.Name.from_rfc4514_string(user.certificate_subject or "")
        return User(user.name, user.role_of, subject=subject)
    text = _read_text(user.token_file)
    exposed = exposure(user.token_file) if strict else None
    if exposed is not None:
        raise ValueError(exposed)
    try:
        return User(user.name, user.role_of, token=_read_token(text))
    except ValueError as error:
        raise ValueError(f"{user.token_file} {error}") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); check the path and its rights"
        ) from error
    except UnicodeDecodeError:
        # without the cause, which would repeat what stands there
        raise ValueError(f"{path} is no text; write one token into it") from None


def _read_token(text: str) -> bytes:
    """The digest of a token, from the token itself or `sha256:<hex>`."""
    if not text:
        raise ValueError("is empty; write a long random token into it, as `openssl rand -hex 32` makes")
    hashed = _HASHED.fullmatch(text)
    if hashed is not None:
        return bytes.fromhex(hashed[1])
    if text.startswith("sha256:"):
        raise ValueError("is no SHA-256; write sha256: and 64 hexadecimal digits")
    if len(text.splitlines()) != 1:
        raise ValueError("has several lines; write one token into it")
    return hashlib.sha256(text.encode()).digest()


def _read_basic(credentials: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise NotAuthenticated("the credentials of HTTP basic are not base64 of UTF-8") from error
    name, colon, token = text.partition(":")
    if not colon:
        raise NotAuthenticated("the credentials of HTTP basic have no colon")
    return name, token


def _key_digest(certificate: x509.Certificate) -> bytes:
    """What a certificate that is made anew with the same key still has."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()
