# SPDX-License-Identifier: EUPL-1.2

"""`version`: the version, and those of what it stands on, to be put in a report."""

import platform
import sqlite3
import ssl
from importlib.metadata import version as version_of
from typing import Final

from cryptography.hazmat.backends.openssl.backend import backend
from lxml import etree

from adapter.cli.output import show_document
from adapter.cli.settings import JsonOption
from adapter.observe import installed_version

_LIBRARIES: Final = ("aiohttp", "cryptography", "lxml", "pydantic", "signxml", "SQLAlchemy")


def version(as_json: JsonOption = False) -> None:
    """Show the version, and of what: Python, the libraries of cryptography, XML and the database, and the machine.

    Example: stam-adapter version

    Example: stam-adapter version --json
    """
    show_document(
        {
            "version": installed_version(),
            "python": platform.python_version(),
            "openssl": ssl.OPENSSL_VERSION,
            "opensslOfSignatures": backend.openssl_version_text(),
            "libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
            "sqlite": sqlite3.sqlite_version,
            "libraries": [{"name": name.lower(), "version": version_of(name)} for name in _LIBRARIES],
            "platform": platform.platform(),
        },
        as_json=as_json,
    )
