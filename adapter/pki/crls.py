# SPDX-License-Identifier: EUPL-1.2

"""The revocation lists there are, by issuer: in memory to be asked, and on disk for a restart without network."""

import hashlib
import os
import tempfile
import threading
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.pki.crl import Crl, CrlProblem, issuer_id, read_crl

_LIST, _ISSUER = ".crl", ".pem"

MAX_LISTS: Final = 512
"""How many lists are kept: PKIoverheid has a few dozen."""

_Key = tuple[bytes, bytes]


class Crls:
    """The newest list of each issuer, or of each part of its certificates where it divides them.

    To be asked from any thread. `version` changes with every list that is taken.

    Args:
        directory: where to keep them; without one they are kept in memory only.

    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._lists: dict[_Key, Crl] = {}
        self._by_issuer: dict[bytes, tuple[Crl, ...]] = {}
        self._writing = threading.Lock()
        self.version = 0

    def find(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Crl | None:
        """The list that says whether the issuer revoked a certificate of its; the newest of several."""
        fitting = (crl for crl in self._by_issuer.get(issuer_id(issuer), ()) if crl.covers(certificate))
        return max(fitting, key=lambda crl: crl.this_update, default=None)

    def of(self, issuer: x509.Certificate) -> tuple[Crl, ...]:
        """Every list of an issuer."""
        return self._by_issuer.get(issuer_id(issuer), ())

    def all(self) -> tuple[Crl, ...]:
        """Every list."""
        return tuple(self._lists.values())

    def take(self, crl: Crl, octets: bytes) -> bool:
        """Use a list from now on, and keep it; return False where it is older than the one in use. Blocking.

        Raises:
            CrlProblem: there are too many.
            OSError: it is used but could not be written.

        """
        with self._writing:
            key = _key(crl)
            before = self._lists.get(key)
            if before is not None and before.this_update > crl.this_update:
                return False
            if before is None and len(self._lists) >= MAX_LISTS:
                raise CrlProblem(f"is one too many: {MAX_LISTS} lists are kept")
            self._use(key, crl)
            if self._directory is not None:
                self._directory.mkdir(parents=True, exist_ok=True)
                name = _name(key)
                # the issuer first: a list without it cannot be proved
                _write(self._directory / f"{name}{_ISSUER}", crl.issuer.public_bytes(Encoding.PEM))
                _write(self._directory / f"{name}{_LIST}", octets)
        return True

    def load(self, at: datetime) -> tuple[str, ...]:
        """Use what was kept, each list once it is proved again; return what is wrong with any. Blocking."""
        problems: list[str] = []
        found = sorted(self._directory.glob(f"*{_LIST}")) if self._directory is not None else []
        for path in found[:MAX_LISTS]:
            try:
                issuer = x509.load_pem_x509_certificate(path.with_suffix(_ISSUER).read_bytes())
                if issuer.not_valid_after_utc < at:
                    continue  # nothing that it issued is valid any more
                crl = read_crl(path.read_bytes(), [issuer], at)
            except (OSError, ValueError, CrlProblem) as problem:
                problems.append(f"{path}: {problem}; it is fetched anew")
                continue
            with self._writing:
                self._use(_key(crl), crl)
        return tuple(problems)

    def _use(self, key: _Key, crl: Crl) -> None:
        lists = self._lists | {key: crl}
        of_issuer = tuple(one for (issuer, _), one in lists.items() if issuer == key[0])
        self._lists, self._by_issuer = lists, self._by_issuer | {key[0]: of_issuer}
        self.version += 1


def _key(crl: Crl) -> _Key:
    return issuer_id(crl.issuer), crl.scope.public_bytes() if crl.scope is not None else b""


def _name(key: _Key) -> str:
    return hashlib.sha256(b"".join(key)).hexdigest()[:40]


def _write(path: Path, octets: bytes) -> None:
    """Put a file in its place whole, or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
