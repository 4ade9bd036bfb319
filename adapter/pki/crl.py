# SPDX-License-Identifier: EUPL-1.2

"""One certificate revocation list (RFC 5280 5): read, proved to be of its issuer, and asked for serial numbers.

A list of PKIoverheid may have 100 000 entries. Reading one costs tens of milliseconds and belongs in a thread; a
look-up is that of a set.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from cpa import MALFORMED_X509

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clock of an authority may be ahead of ours."""

_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

# what is read, or need not be: any other extension that is critical could change what the list means
_KNOWN: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    }
)


class CrlProblem(Exception):
    """A revocation list cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Crl:
    """A list that its issuer signed; `scope` is which certificates of the issuer it is about, None for all."""

    issuer: x509.Certificate
    this_update: datetime
    next_update: datetime
    scope: x509.IssuingDistributionPoint | None
    _serials: frozenset[int] = field(repr=False)
    _inner: x509.CertificateRevocationList = field(repr=False)

    def __len__(self) -> int:
        """How many certificates it revokes."""
        return len(self._serials)

    def is_expired(self, at: datetime) -> bool:
        """Whether its successor should have been there."""
        return at > self.next_update

    def covers(self, certificate: x509.Certificate) -> bool:
        """Whether it says anything about a certificate of its issuer (RFC 5280 6.3.3 b)."""
        scope = self.scope
        if scope is None:
            return True
        if scope.only_contains_user_certs and is_authority(certificate):
            return False
        if scope.only_contains_ca_certs and not is_authority(certificate):
            return False
        if scope.full_name is None:
            return True
        named = {name for point in _points(certificate) for name in point.full_name or ()}
        return not named.isdisjoint(scope.full_name)

    def revocation(self, serial_number: int) -> str | None:
        """When and why the certificate with this serial number was revoked; None where it was not."""
        if serial_number not in self._serials:
            return None
        entry = self._inner.get_revoked_certificate_by_serial_number(serial_number)
        if entry is None:
            raise AssertionError("the set was made of these entries")
        when = f"revoked on {entry.revocation_date_utc:%Y-%m-%d %H:%M}Z"
        try:
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except (x509.ExtensionNotFound, ValueError):
            return when
        return f"{when} ({reason})"


def read_crl(octets: bytes, issuers: Iterable[x509.Certificate], at: datetime) -> Crl:
    """Read a list in DER or PEM, and prove it: one of the issuers signed it. Blocking.

    An expired one is returned too: what it revokes stays revoked.

    Raises:
        CrlProblem: it is no list, is signed by none of them, is about changes only, or is not from before `at`.

    """
    inner, der = _parsed(octets)
    try:
        named = inner.issuer
        known = [issuer for issuer in issuers if issuer.subject == named]
        scope = _scope(inner)
        start, end = inner.last_update_utc, inner.next_update_utc
        issuer = next((one for one in known if _is_signed_by(inner, der, one)), None)
    except MALFORMED_X509 as error:
        raise CrlProblem(f"is not a well-formed revocation list: {error}") from error
    if not known:
        raise CrlProblem(f"is of {named.rfc4514_string()!r}, another issuer than that of the certificates")
    if issuer is None:
        raise CrlProblem(f"has the name of {named.rfc4514_string()!r}, whose key did not sign it")
    if end is None:
        raise CrlProblem("does not say when its successor comes (nextUpdate)")
    if start > at + CLOCK_SKEW:
        raise CrlProblem(
            f"is from {start:%Y-%m-%d %H:%M}Z, which is not yet; look at the clock of this machine"
        )
    return Crl(issuer, start, end, scope, frozenset(entry.serial_number for entry in inner), inner)


def crl_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says that the list of its issuer can be had over http, any of which will do.

    Lists that are of another than the issuer, or of some reasons only, are not counted.
    """
    return tuple(
        dict.fromkeys(
            name.value
            for point in _points(certificate)
            if point.crl_issuer is None and point.reasons is None
            for name in point.full_name or ()
            if isinstance(name, x509.UniformResourceIdentifier) and urlsplit(name.value).scheme == "http"
        )
    )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it is a certificate of an authority. Raises ValueError where its extensions cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


@lru_cache(maxsize=4096)  # asked for the same few authorities with every chain
def issuer_id(issuer: x509.Certificate) -> bytes:
    """What tells an issuer from others, also of the same name: its name and key, whichever certificate it shows."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(issuer.subject.public_bytes())
    digest.update(issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize()


def _parsed(octets: bytes) -> tuple[x509.CertificateRevocationList, bytes]:
    """The list, and its DER."""
    try:
        if octets.lstrip().startswith(b"-----BEGIN"):
            inner = x509.load_pem_x509_crl(octets)
            return inner, inner.public_bytes(Encoding.DER)
        return x509.load_der_x509_crl(octets), octets
    except MALFORMED_X509 as error:
        shown = octets[:40].decode("ascii", "replace")
        raise CrlProblem(f"is not a revocation list but begins with {shown!r}") from error


def _scope(inner: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    scope: x509.IssuingDistributionPoint | None = None
    for extension in inner.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            raise CrlProblem("is a delta list, with changes only; a whole one is needed")
        if extension.critical and extension.oid not in _KNOWN:
            raise CrlProblem(f"has an extension that is not known: {extension.oid.dotted_string}")
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            scope = extension.value
    if scope is None:
        return None
    if scope.indirect_crl:
        raise CrlProblem("is an indirect list, of several issuers; one of the issuer itself is needed")
    if scope.only_some_reasons or scope.only_contains_attribute_certs or scope.relative_name is not None:
        raise CrlProblem("is about some reasons or kinds of certificate only; a whole list is needed")
    return scope


def _is_signed_by(inner: x509.CertificateRevocationList, der: bytes, issuer: x509.Certificate) -> bool:
    if not _may_sign_lists(issuer) or not _has_key(inner, issuer):
        return False
    algorithm, parameters = inner.signature_hash_algorithm, inner.signature_algorithm_parameters
    if not isinstance(algorithm, _HASHES):
        raise CrlProblem("is signed with an algorithm that is too weak, or not known")
    key, signed = issuer.public_key(), _signed_octets(der)
    try:
        if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PSS | padding.PKCS1v15):
            key.verify(inner.signature, signed, parameters, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(inner.signature, signed, parameters)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _has_key(inner: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether the list names the key of the issuer, where both say which that is."""
    try:
        named = inner.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        has = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    return named is None or named == has


def _signed_octets(der: bytes) -> bytes:
    """The octets that are signed, as they came: the first element of the outer sequence.

    The library would write them anew, which takes ten times as long for a large list.
    """
    start = _header(der, 0)[0]
    content, length = _header(der, start)
    return der[start : content + length]


def _header(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of a DER element begins, and its length; the element was parsed before."""
    short = der[at + 1]
    if short < 0x80:
        return at + 2, short
    size = short & 0x7F
    content = at + 2 + size
    return content, int.from_bytes(der[at + 2 : content])


def _points(certificate: x509.Certificate) -> tuple[x509.DistributionPoint, ...]:
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except (x509.ExtensionNotFound, ValueError):
        return ()
