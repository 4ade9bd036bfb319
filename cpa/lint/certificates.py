# SPDX-License-Identifier: EUPL-1.2

"""Checks of the embedded certificates: readable, the party's own, strong enough and valid long enough."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from cpa.errors import CpaError
from cpa.lint.finding import Problem, RuleTable, Scope, Severity
from cpa.lint.oin import serial_number_of, strip_suffix
from cpa.model import Certificate, PartyInfo, Transport
from cpa.names import OIN_TYPE

_SMALLEST_RSA_KEY = 2048
_GOOD_RSA_KEY = 3072
_SERVER_POLICIES = frozenset({"2.16.528.1.1003.1.2.8.6", "2.16.528.1.1003.1.2.44.15.35.11"})
"""Private services server (G1) and private TLS of devices (G4) of PKIoverheid (BV 3.5, CRT-11)."""


@dataclass(frozen=True, slots=True)
class _Use:
    """A readable certificate, with the party that it is used for and what it is used for there."""

    party: PartyInfo
    certificate: Certificate
    purposes: tuple[str, ...]
    decoded: x509.Certificate

    @property
    def where(self) -> str:
        return f"Certificate {self.certificate.id!r} ({', '.join(self.purposes)})"


def _uses(scope: Scope) -> Iterator[_Use]:
    """Certificates in use; trust anchors are not, since they may be those of others."""
    for party in scope.document.parties:
        purposes: dict[str, tuple[Certificate, list[str]]] = {}
        for certificate, purpose in party.certificates_in_use():
            known = purposes.setdefault(certificate.id, (certificate, []))[1]
            if purpose not in known:
                known.append(purpose)
        for certificate, named in purposes.values():
            decoded = _decode(certificate)
            if decoded is not None:
                yield _Use(party, certificate, tuple(named), decoded)


def _decode(certificate: Certificate) -> x509.Certificate | None:
    """The certificate; None for one that cannot be read, which is a finding of its own."""
    try:
        return certificate.x509
    except CpaError:
        return None


def _readable(scope: Scope) -> Iterator[Problem]:
    for party in scope.document.parties:
        for certificate in party.certificates:
            try:
                _ = certificate.x509
            except CpaError as error:
                why = str(error).partition(": ")[2]
                yield Problem(
                    Severity.ERROR,
                    f"Certificate {certificate.id!r}",
                    f"{why}; nothing can be signed, verified, encrypted or compared with it",
                )


def _oin(scope: Scope) -> Iterator[Problem]:
    severity = Severity.ERROR if scope.production else Severity.WARNING
    for use in _uses(scope):
        oins = {strip_suffix(party_id.value) for party_id in use.party.ids if party_id.type == OIN_TYPE}
        found = serial_number_of(use.decoded)
        if not oins or found in oins:
            continue
        if found is None:
            yield Problem(
                severity, use.where, "no OIN in subject.serialNumber; its holder cannot be identified by it"
            )
        else:
            yield Problem(
                Severity.WARNING,
                use.where,
                f"the OIN in it is {found}, that of the party {', '.join(sorted(oins))}; it is refused"
                " unless its holder may act for the party",
            )


def _expiry(scope: Scope) -> Iterator[Problem]:
    end = scope.document.end
    for use in _uses(scope):
        expires = use.decoded.not_valid_after_utc
        if scope.now <= expires < end:
            yield Problem(
                Severity.WARNING,
                use.where,
                f"expires on {expires:%Y-%m-%d}, before the End of the CPA ({end:%Y-%m-%d});"
                " plan its replacement",
            )


def _validity(scope: Scope) -> Iterator[Problem]:
    for use in _uses(scope):
        if scope.now > use.decoded.not_valid_after_utc:
            yield Problem(
                Severity.ERROR,
                use.where,
                f"expired on {use.decoded.not_valid_after_utc:%Y-%m-%d}; what is made with it is refused",
            )
        elif scope.now < use.decoded.not_valid_before_utc:
            yield Problem(
                Severity.WARNING,
                use.where,
                f"is not valid before {use.decoded.not_valid_before_utc}; what is made with it is refused",
            )


def _key_size(scope: Scope) -> Iterator[Problem]:
    for use in _uses(scope):
        key = use.decoded.public_key()
        if not isinstance(key, RSAPublicKey) or key.key_size >= _GOOD_RSA_KEY:
            continue
        if key.key_size < _SMALLEST_RSA_KEY:
            yield Problem(
                Severity.ERROR, use.where, f"an RSA key of {key.key_size} bits can be broken; use 3072"
            )
        else:
            yield Problem(
                Severity.WARNING, use.where, f"an RSA key of {key.key_size} bits; 3072 or more is preferred"
            )


def _policy(scope: Scope) -> Iterator[Problem]:
    for use in _uses(scope):
        policies = _policies(use.decoded)
        if policies and not _SERVER_POLICIES & policies:
            yield Problem(
                Severity.WARNING if scope.production else Severity.INFO,
                use.where,
                f"its policy {', '.join(sorted(policies))} is not that of a server certificate under the"
                " private root of PKIoverheid; peers may refuse it",
            )


def _policies(certificate: x509.Certificate) -> frozenset[str]:
    """The policies in a certificate, as dotted numbers; none where there are none, as in throw-away ones."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return frozenset()
    return frozenset(policy.policy_identifier.dotted_string for policy in found)


def _self_signed(scope: Scope) -> Iterator[Problem]:
    for use in _uses(scope):
        if use.decoded.issuer == use.decoded.subject:
            yield Problem(
                scope.forbidden_in_production,
                use.where,
                "is self-signed; only certificates of PKIoverheid are trusted in production",
            )


def _host_name(scope: Scope) -> Iterator[Problem]:
    for party in scope.document.parties:
        for transport in party.transports:
            names = _server_names(transport)
            for host in _hosts(transport):
                if names and not any(_covers(name, host) for name in names):
                    yield Problem(
                        Severity.WARNING,
                        f"Transport {transport.id!r}",
                        f"the endpoint's host {host} is not a name in the server certificate"
                        f" ({', '.join(names)}); a sender that checks it, as it must, cannot connect",
                    )


def _hosts(transport: Transport) -> Iterator[str]:
    for endpoint in transport.receiver.endpoints if transport.receiver else ():
        try:
            host = urlsplit(endpoint.uri).hostname
        except ValueError:
            continue  # reported as an address that is none
        if host:
            yield host.lower()


def _server_names(transport: Transport) -> tuple[str, ...]:
    """The names of the server certificate: those of its SAN, else its common name; () if not readable."""
    security = transport.receiver.security if transport.receiver else None
    decoded = _decode(security.certificate) if security else None
    if decoded is None:
        return ()
    try:
        names = decoded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = decoded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        # No names to compare with; the TLS handshake is the judge of such a certificate.
        return ()
    addresses = tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)) + addresses


def _covers(name: str, host: str) -> bool:
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    try:
        return ip_address(name) == ip_address(host)
    except ValueError:
        return name == host


CERTIFICATE_RULES: RuleTable = (
    ("CPA-13", _readable),
    ("CRT-21", _oin),
    ("CPA-05", _expiry),
    ("CRT-03", _validity),
    ("CRT-15", _key_size),
    ("CRT-11", _policy),
    ("CRT-09", _self_signed),
    ("TRN-20", _host_name),
)
