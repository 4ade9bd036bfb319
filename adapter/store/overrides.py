# SPDX-License-Identifier: EUPL-1.2

"""What an authority uses instead of what an agreement says: endpoints of partners, and its own TLS certificates.

The text of the CPA stays as both parties agreed it (CPA-17).
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, Text, bindparam, delete, insert, select
from sqlalchemy import update as sql_update

from adapter.store.schema import certificate_override, endpoint_override
from adapter.store.timeline import Event, add_event

_EVERY_CPA: Final = ""  # a part of a key cannot be NULL

# made once, as every message that is sent asks for them
_OF: Final = bindparam("of_authority", type_=Text)
_ENDPOINTS_OF: Final = select(endpoint_override).where(endpoint_override.c.authority == _OF)
_CERTIFICATES_OF: Final = select(certificate_override).where(certificate_override.c.authority == _OF)


@dataclass(frozen=True, slots=True)
class EndpointOverride:
    """Messages of an authority for the URL `source`, as it is in a CPA, go to `destination`."""

    authority: str
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class CertificateOverride:
    """Where a CPA has the TLS client certificate `source`, an authority shows `destination` (both DER).

    `cpa_id` None is every agreement of the authority; one for the agreement itself goes before that.
    """

    authority: str
    source: bytes
    destination: bytes
    cpa_id: str | None = None

    @property
    def source_digest(self) -> str:
        """The SHA-256 of `source` in hexadecimal."""
        return _digest(self.source)


@dataclass(frozen=True, slots=True)
class Overrides:
    """All that one authority overrides."""

    endpoints: tuple[EndpointOverride, ...] = ()
    certificates: tuple[CertificateOverride, ...] = ()


def overrides_of(conn: Connection, authority: str) -> Overrides:
    """What one authority overrides."""
    of = {"of_authority": authority}
    return Overrides(
        tuple(EndpointOverride(**row._mapping) for row in conn.execute(_ENDPOINTS_OF, of)),
        tuple(_certificate(row) for row in conn.execute(_CERTIFICATES_OF, of)),
    )


def put_endpoint_override(conn: Connection, override: EndpointOverride, now: datetime) -> bool:
    """Let a URL be overridden, in place of what was said of it before; return whether that changed anything."""
    key = {"authority": override.authority, "source": override.source}
    if not _put(conn, endpoint_override, key, {"destination": override.destination}):
        return False
    detail = {"source": override.source, "destination": override.destination}
    _note(conn, override.authority, "endpoint.overridden", now, detail)
    return True


def delete_endpoint_override(conn: Connection, authority: str, source: str, now: datetime) -> bool:
    """Let a URL go by the agreement again; return whether it was overridden."""
    key = {"authority": authority, "source": source}
    if not conn.execute(delete(endpoint_override).filter_by(**key)).rowcount:
        return False
    _note(conn, authority, "endpoint.override_removed", now, {"source": source})
    return True


def list_endpoint_overrides(
    conn: Connection, authorities: Collection[str] | None = None
) -> tuple[EndpointOverride, ...]:
    """The endpoints that are overridden, by authority and URL; None is of all authorities."""
    query = select(endpoint_override).order_by(endpoint_override.c.authority, endpoint_override.c.source)
    if authorities is not None:
        query = query.where(endpoint_override.c.authority.in_(authorities))
    return tuple(EndpointOverride(**row._mapping) for row in conn.execute(query))


def put_certificate_override(conn: Connection, override: CertificateOverride, now: datetime) -> bool:
    """Let a certificate be overridden, in place of what was said of it before; return whether that changed
    anything.
    """
    key = _certificate_key(override.authority, override.source_digest, override.cpa_id)
    values = {"source": override.source, "destination": override.destination}
    if not _put(conn, certificate_override, key, values):
        return False
    detail = {"source": override.source_digest, "destination": _digest(override.destination)}
    _note(conn, override.authority, "certificate.overridden", now, detail, override.cpa_id)
    return True


def delete_certificate_override(
    conn: Connection, authority: str, source: bytes, cpa_id: str | None, now: datetime
) -> bool:
    """Let a certificate (DER) go by the agreement again; return whether it was overridden for just this
    `cpa_id`.
    """
    digest = _digest(source)
    key = _certificate_key(authority, digest, cpa_id)
    if not conn.execute(delete(certificate_override).filter_by(**key)).rowcount:
        return False
    _note(conn, authority, "certificate.override_removed", now, {"source": digest}, cpa_id)
    return True


def list_certificate_overrides(
    conn: Connection, authorities: Collection[str] | None = None
) -> tuple[CertificateOverride, ...]:
    """The certificates that are overridden, by authority, CPAId and digest; None is of all authorities."""
    columns = certificate_override.c
    query = select(certificate_override).order_by(columns.authority, columns.cpa_id, columns.source_digest)
    if authorities is not None:
        query = query.where(columns.authority.in_(authorities))
    return tuple(_certificate(row) for row in conn.execute(query))


def _certificate(row: Row[Any]) -> CertificateOverride:
    return CertificateOverride(row.authority, row.source, row.destination, row.cpa_id or None)


def _certificate_key(authority: str, digest: str, cpa_id: str | None) -> dict[str, str]:
    return {"authority": authority, "cpa_id": cpa_id or _EVERY_CPA, "source_digest": digest}


def _digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _put(conn: Connection, table: Table, key: dict[str, str], values: dict[str, Any]) -> bool:
    """Insert or change a row; False when it was the same already."""
    row = conn.execute(select(table).filter_by(**key).with_for_update()).one_or_none()
    if row is None:
        conn.execute(insert(table).values(key | values))
        return True
    if all(row._mapping[name] == value for name, value in values.items()):
        return False
    conn.execute(sql_update(table).filter_by(**key).values(values))
    return True


def _note(
    conn: Connection,
    authority: str,
    action: str,
    now: datetime,
    detail: dict[str, str],
    cpa_id: str | None = None,
) -> None:
    add_event(conn, Event(at=now, authority=authority, action=action, cpa_id=cpa_id, detail=detail))
