# SPDX-License-Identifier: EUPL-1.2

"""The URLs that name a store."""

from typing import Final
from urllib.parse import urlsplit

SQLITE_URL: Final = "sqlite"
"""The URL of the embedded database in the state directory."""


def is_postgres_url(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.startswith(("postgresql://", "postgres://"))


def shown_url(url: str) -> str:
    """The URL of a store as it may be shown: without password and options."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url.partition("?")[0]
    login, at, hosts = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{login.partition(':')[0]}{at}{hosts}{parts.path}"
