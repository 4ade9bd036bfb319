"""Trust: whether a certificate chains to one of the roots the operator configured.

Path building and signature checks are those of `cryptography`, whose defaults are made for web servers; the
policies here ask what PKIoverheid promises instead: authorities must be authorities, a holder needs no
extended key usage and no subjectAltName (GAC ch04), chains have up to four layers (GAC ch02), RSASSA-PSS
signatures count (GAC ch10).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from adapter.pki.keys import KeyProblem, load_certificates

# Intermediates between root and holder: PKIoverheid has two (domain and TSP); one more is room for a cross
# certificate.
_MAX_INTERMEDIATES = 3
# What a peer sends along is its choice; more than this serves no chain and only costs time.
_MAX_SENT = 16


class NotTrusted(Exception):
    """A certificate does not hold at the moment asked for; the message says why, without secrets."""


class TrustStore:
    """The roots that are trusted, several at a time."""

    def __init__(self, roots: Iterable[x509.Certificate]) -> None:
        self.roots = tuple(dict.fromkeys(roots))

    @classmethod
    def from_files(cls, roots: Sequence[Path]) -> "TrustStore":
        """Read PEM files, each with one or more roots.

        Raises:
            KeyProblem: a file cannot be read, or a certificate in it is not a root.

        """
        found: list[x509.Certificate] = []
        for path in roots:
            for certificate in load_certificates(path):
                _check_is_root(path, certificate)
                found.append(certificate)
        return cls(found)

    @cached_property
    def pem(self) -> str:
        """All roots as PEM, the form `ssl.SSLContext.load_verify_locations` takes; empty without roots."""
        return "".join(root.public_bytes(Encoding.PEM).decode("ascii") for root in self.roots)

    def verify(
        self, certificate: x509.Certificate, intermediates: Sequence[x509.Certificate], at: datetime
    ) -> None:
        """Check that a certificate chains to a root, every part of the chain being valid at a moment.

        Revocation and the OIN are judged by others. A self-signed certificate holds only where it is itself
        one of the roots, which test set-ups use.

        Args:
            certificate: the holder's certificate.
            intermediates: the certificates that came with it, in any order; useless ones do no harm.
            at: aware moment to judge by.

        Raises:
            NotTrusted: it does not hold.

        """
        _check_period(certificate, at)
        if certificate in self.roots:
            return
        if _is_authority(certificate):
            raise NotTrusted(f"{_name(certificate)} is the certificate of an authority, not of a holder")
        if not self.roots:
            raise NotTrusted("no roots are configured under [trust]")
        try:
            _Verifier(self.roots, at).verify(certificate, list(intermediates[:_MAX_SENT]))
        except (VerificationError, ValueError, UnsupportedAlgorithm) as error:
            reason = self._reason(certificate, intermediates[:_MAX_SENT], at)
            raise NotTrusted(f"{_name(certificate)} {reason or f'is not trusted: {error}'}") from error

    def _reason(
        self, certificate: x509.Certificate, intermediates: Sequence[x509.Certificate], at: datetime
    ) -> str | None:
        """Walk up by name to find what an operator can act on: a missing, expired or unfit link."""
        if certificate.subject == certificate.issuer:
            return "is self-signed, and not one of the roots under [trust]"
        link, seen = certificate, 0
        while seen <= _MAX_INTERMEDIATES:
            issuer = next((c for c in (*self.roots, *intermediates) if c.subject == link.issuer), None)
            if issuer is None:
                return (
                    f"is not trusted: the certificate of its issuer {link.issuer.rfc4514_string()!r} is "
                    "neither configured under [trust] nor sent along by the partner"
                )
            if not _is_valid(issuer, at):
                return f"is not trusted: the certificate of its authority {_name(issuer)} is not valid now"
            if issuer in self.roots or issuer == link:
                return None
            link, seen = issuer, seen + 1
        return f"is not trusted: its chain has more than {_MAX_INTERMEDIATES} intermediate certificates"


class _Verifier:
    """The verifier of `cryptography` with the policies of PKIoverheid, for one moment."""

    def __init__(self, roots: Sequence[x509.Certificate], at: datetime) -> None:
        ca_policy = (
            ExtensionPolicy.permit_all()
            .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _must_be_authority)
            .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _must_sign_certificates)
        )
        self._inner = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .time(at)
            .max_chain_depth(_MAX_INTERMEDIATES)
            .extension_policies(ca_policy=ca_policy, ee_policy=ExtensionPolicy.permit_all())
            .build_client_verifier()
        )

    def verify(self, certificate: x509.Certificate, intermediates: list[x509.Certificate]) -> None:
        """Raise `VerificationError` where there is no chain."""
        self._inner.verify(certificate, intermediates)


def _must_be_authority(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("the issuer is not a certificate authority (basicConstraints)")


def _must_sign_certificates(_: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    # A root may leave keyUsage out (old self-made test roots do); an intermediate may not.
    if usage is None and certificate.subject != certificate.issuer:
        raise ValueError("the issuer has no keyUsage")
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the issuer may not sign certificates (keyUsage)")


def _check_is_root(path: Path, certificate: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise KeyProblem(
            f"{path}: {_name(certificate)} is not a root but was issued by "
            f"{certificate.issuer.rfc4514_string()!r}; give the root, intermediates are sent by partners"
        ) from error


def _check_period(certificate: x509.Certificate, at: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if at < start:
        raise NotTrusted(f"{_name(certificate)} is not valid before {start:%Y-%m-%d %H:%M}Z")
    if at > end:
        raise NotTrusted(f"{_name(certificate)} expired on {end:%Y-%m-%d %H:%M}Z")


def _is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
    except ValueError as error:
        raise NotTrusted(f"{_name(certificate)} has unreadable extensions: {error}") from error


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())
