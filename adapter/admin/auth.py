"""Who uses the admin listener, and what they may do: the users of the configuration, their tokens and roles.

A token is sent as a bearer token, or as the password of HTTP basic with the name of the user. Tokens are random, so a
plain SHA-256 of each is what is kept in memory, and compared in constant time.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from adapter.authorities import Authorities
from adapter.config import AdminUser, ConfigProblem, Role

CHALLENGES: Final = ('Basic realm="stam-adapter", charset="UTF-8"', 'Bearer realm="stam-adapter"')
"""What a 401 says about how to log in."""

EVERY_AUTHORITY: Final = "*"

_HASHED = re.compile(r"sha256:([0-9a-fA-F]{64})")
_RANK: Final = {Role.LOOK: 0, Role.REPAIR: 1, Role.ADMINISTER: 2}


class NotAuthenticated(Exception):
    """The credentials of a request are those of no user."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the configuration; `token` is the SHA-256 of the token."""

    name: str
    role: Role
    authorities: frozenset[str]
    token: bytes = field(repr=False)

    def may(self, role: Role) -> bool:
        """Whether this user may do what needs a role; each role includes the one before it."""
        return _RANK[self.role] >= _RANK[role]

    def scope(self, known: Authorities) -> frozenset[str]:
        """The names of the authorities that exist for this user."""
        if EVERY_AUTHORITY in self.authorities:
            return frozenset(known.by_name)
        return self.authorities & known.by_name.keys()


@dataclass(frozen=True, slots=True)
class Users:
    """Every user of the admin listener."""

    users: tuple[User, ...] = ()

    def authenticate(self, authorization: str | None) -> User | None:
        """The user who sends this Authorization header; None where there is no header.

        Raises:
            NotAuthenticated: the header is not of a known kind, or names nobody.

        """
        if authorization is None:
            return None
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_token(credentials.strip(), None)
        if scheme.lower() == "basic":
            name, token = _read_basic(credentials.strip())
            return self._by_token(token, name)
        raise NotAuthenticated("neither Basic nor Bearer")

    def _by_token(self, token: str, name: str | None) -> User:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        # every user is compared, also after a match, so that the time tells nothing
        matches = [
            hmac.compare_digest(digest, user.token) and (name is None or user.name == name)
            for user in self.users
        ]
        for user, matched in zip(self.users, matches, strict=True):
            if matched:
                return user
        raise NotAuthenticated("no such user, or another token")


def load_users(configured: Iterable[AdminUser]) -> Users:
    """Read the token of every user.

    Raises:
        ConfigProblem: a token cannot be read, is empty, or is also another user's; every such problem is in it.

    """
    users: list[User] = []
    problems: list[str] = []
    holders: dict[bytes, str] = {}
    for configured_user in configured:
        name = configured_user.name
        try:
            token = _read_token(configured_user.token_file.read_text(encoding="utf-8").strip())
        except OSError as error:
            problems.append(
                f"admin.users {name}: {configured_user.token_file} cannot be read: {error.strerror}"
            )
        except ValueError as error:
            problems.append(f"admin.users {name}: {configured_user.token_file} {error}")
        else:
            first = holders.setdefault(token, name)
            if first != name:
                problems.append(
                    f"admin.users {name}: has the token of user {first}; give each user another token"
                )
            users.append(User(name, configured_user.role, frozenset(configured_user.authorities), token))
    if problems:
        raise ConfigProblem(problems)
    return Users(tuple(users))


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
