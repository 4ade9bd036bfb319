# SPDX-License-Identifier: EUPL-1.2

"""URL and certificate mappings: what is used instead of an endpoint or TLS client certificate in an agreement.

The reference adapter has them for all CPAs at once. Here they are kept per authority, and a call sets, removes and
lists them for every authority of its user.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from adapter.admin.calls import Call, bad_request, not_found
from adapter.admin.rest.bodies import MAX_SMALL_JSON, read_json, read_text, required_text, text_of
from adapter.store import (
    AuditEntry,
    CertificateOverride,
    EndpointOverride,
    delete_certificate_override,
    delete_endpoint_override,
    list_certificate_overrides,
    list_endpoint_overrides,
    put_certificate_override,
    put_endpoint_override,
)

_SCHEMES: Final = frozenset({"http", "https"})


async def list_url_mappings(call: Call) -> web.StreamResponse:
    """The URL mappings, each once."""
    rows = await call.api.db.read(list_endpoint_overrides, call.scope)
    found = sorted({(row.source, row.destination) for row in rows})
    return web.json_response([{"source": source, "destination": to} for source, to in found])


async def put_url_mapping(call: Call) -> web.StreamResponse:
    """Set a URL mapping; one without destination removes it, without a word where there was none."""
    body = await read_json(call.request)
    source, destination = required_text(body, "source"), text_of(body, "destination")
    _check_url(source, "source")
    if destination is None:
        await _for_each(
            call,
            lambda conn, name: delete_endpoint_override(conn, name, source, call.api.clock()),
            _entry(call, source, action="url_mapping.delete"),
        )
    else:
        _check_url(destination, "destination")
        new = destination
        await _for_each(
            call,
            lambda conn, name: put_endpoint_override(
                conn, EndpointOverride(name, source, new), call.api.clock()
            ),
            _entry(call, source, destination=destination),
        )
    return web.Response(status=204)


async def delete_url_mapping(call: Call) -> web.StreamResponse:
    """Remove a URL mapping. The URL is the rest of the path, escaped or as it is, with its query."""
    source = call.path("source")
    if call.request.query_string:
        source += f"?{call.request.query_string}"
    removed = await _for_each(
        call,
        lambda conn, name: delete_endpoint_override(conn, name, source, call.api.clock()),
        _entry(call, source),
    )
    if not removed:
        raise not_found(f"there is no URL mapping of {source}")
    return web.Response(status=204)


async def list_certificate_mappings(call: Call) -> web.StreamResponse:
    """The certificate mappings, each once."""
    rows = await call.api.db.read(list_certificate_overrides, call.scope)
    found = {(row.source, row.destination, row.cpa_id): row for row in rows}
    return web.json_response([_shown(row) for row in found.values()])


async def put_certificate_mapping(call: Call) -> web.StreamResponse:
    """Set a certificate mapping, of one agreement where `cpaId` is given."""
    body = await read_json(call.request)
    source = _certificate(required_text(body, "source"), "source")
    destination = _certificate(required_text(body, "destination"), "destination")
    cpa_id = text_of(body, "cpaId")
    await _for_each(
        call,
        lambda conn, name: put_certificate_override(
            conn, CertificateOverride(name, _der(source), _der(destination), cpa_id), call.api.clock()
        ),
        _entry(call, _name(source), destination=_name(destination), cpa_id=cpa_id),
    )
    return web.Response(status=204)


async def delete_certificate_mapping(call: Call) -> web.StreamResponse:
    """Remove the mapping of the certificate in the body, of just this `cpaId`, or of none."""
    octets = await read_text(call.request, MAX_SMALL_JSON)
    source = _certificate(octets.decode("ascii", "replace"), "the body")
    cpa_id = call.query("cpaId")
    removed = await _for_each(
        call,
        lambda conn, name: delete_certificate_override(conn, name, _der(source), cpa_id, call.api.clock()),
        _entry(call, _name(source), cpa_id=cpa_id),
    )
    if not removed:
        raise not_found("there is no mapping of this certificate")
    return web.Response(status=204)


def _entry(call: Call, subject: str, **more: Any) -> AuditEntry:
    return call.entry(subject, authorities=sorted(call.scope), **more)


async def _for_each(call: Call, change: Callable[[Connection, str], bool], entry: AuditEntry) -> bool:
    """Change something for every authority that the user administers, in one transaction; whether anything was."""
    scope = sorted(call.scope)

    def change_all(conn: Connection) -> bool:
        changed = [change(conn, name) for name in scope]
        return any(changed)

    return await call.change(change_all, lambda changed: entry if changed else None)


def _check_url(url: str, name: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or any(c.isspace() for c in url):
        raise bad_request(f"{name} is not a URL of http or https")


def _certificate(text: str, name: str) -> x509.Certificate:
    try:
        octets = base64.b64decode("".join(text.split()), validate=True)
        return x509.load_der_x509_certificate(octets)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"{name} is not an X.509 certificate in base64 of DER") from error


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _name(certificate: x509.Certificate) -> str:
    return f"{certificate.subject.rfc4514_string()} ({certificate.serial_number:x})"


def _shown(override: CertificateOverride) -> dict[str, Any]:
    return {
        "source": base64.b64encode(override.source).decode(),
        "destination": base64.b64encode(override.destination).decode(),
        "cpaId": override.cpa_id or "",  # there are clients that do not live without the name
    }
