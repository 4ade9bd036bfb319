# SPDX-License-Identifier: EUPL-1.2

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

from adapter.pki.crl import is_authority
from adapter.pki.keys import KeyProblem, load_certificates

# Intermediates between root and holder: PKIoverheid has two (domain and TSP); one more is room for a cross
# certificate.
_MAX_INTERMEDIATES = 3
# What a peer sends along is its choice; more than this serves no chain and only costs time.
_MAX_SENT = 16
# Of all TSPs of PKIoverheid together there are fewer.
_MAX_LEARNED = 128


class NotTrusted(Exception):
    """A certificate does not hold at the moment asked for; the message says why, without secrets."""


class TrustStore:
    """The roots that are trusted, several at a time.

    Beside them are certificates of authorities below the roots, which complete the chain of who sends only its own
    certificate (SIG-14): configured ones, and those that were part of chains before. They are proved each time.
    """

    def __init__(
        self, roots: Iterable[x509.Certificate], intermediates: Iterable[x509.Certificate] = ()
    ) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self.intermediates = tuple(dict.fromkeys(intermediates))
        self._learned: tuple[x509.Certificate, ...] = ()

    @classmethod
    def from_files(cls, roots: Sequence[Path], intermediates: Sequence[Path] = ()) -> "TrustStore":
        """Read PEM files, each with one or more roots, or certificates of authorities below them.

        Raises:
            KeyProblem: a file cannot be read, or a certificate in it is not a root, or not of an authority.

        """
        found: list[x509.Certificate] = []
        for path in roots:
            for certificate in load_certificates(path):
                _check_is_root(path, certificate)
                found.append(certificate)
        below: list[x509.Certificate] = []
        for path in intermediates:
            for certificate in load_certificates(path):
                _check_is_authority(path, certificate)
                below.append(certificate)
        return cls(found, below)

    @cached_property
    def pem(self) -> str:
        """All certificates as PEM, the form `ssl.SSLContext.load_verify_locations` takes; empty without roots.

        TLS trusts the roots alone: what is no root completes chains, and ends none.
        """
        if not self.roots:
            return ""
        known = (*self.roots, *self.intermediates)
        return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in known)

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Every authority that is known, the roots first."""
        return tuple(dict.fromkeys((*self.roots, *self.intermediates, *self._learned)))

    def learn(self, chain: Sequence[x509.Certificate]) -> None:
        """Remember the authorities of a chain that was verified, of a limited number."""
        new = [one for one in chain[1:] if one not in self.roots and one not in self._learned]
        if new:  # replaced as a whole, since threads read it
            self._learned = (*self._learned, *new)[:_MAX_LEARNED]

    def verify(
        self, certificate: x509.Certificate, intermediates: Sequence[x509.Certificate], at: datetime
    ) -> tuple[x509.Certificate, ...]:
        """Check that a certificate chains to a root, every part of the chain being valid at a moment.

        Revocation and the OIN are judged by others. A self-signed certificate holds only where it is itself
        one of the roots, which test set-ups use.

        Args:
            certificate: the holder's certificate.
            intermediates: the certificates that came with it, in any order; useless ones do no harm.
            at: aware moment to judge by.

        Returns:
            The chain: the certificate, those of its authorities, and the root.

        Raises:
            NotTrusted: it does not hold.

        """
        _check_period(certificate, at)
        if certificate in self.roots:
            return (certificate,)
        if _is_authority(certificate):
            raise NotTrusted(f"{_name(certificate)} is the certificate of an authority, not of a holder")
        if not self.roots:
            raise NotTrusted("no roots are configured under [trust]")
        helpful = [*intermediates[:_MAX_SENT], *self.intermediates, *self._learned]
        try:
            return _Verifier(self.roots, at).verify(certificate, helpful)
        except (VerificationError, ValueError, UnsupportedAlgorithm) as error:
            reason = self._reason(certificate, helpful, at)
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
                    "neither configured under [trust] nor sent along"
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

    def verify(
        self, certificate: x509.Certificate, intermediates: list[x509.Certificate]
    ) -> tuple[x509.Certificate, ...]:
        """The chain. Raises `VerificationError` where there is none."""
        return tuple(self._inner.verify(certificate, intermediates).chain)


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


def _check_is_authority(path: Path, certificate: x509.Certificate) -> None:
    try:
        is_one = is_authority(certificate)
    except ValueError as error:
        raise KeyProblem(f"{path}: {_name(certificate)} has unreadable extensions: {error}") from error
    if not is_one:
        raise KeyProblem(
            f"{path}: {_name(certificate)} is not the certificate of an authority; name those of the authorities "
            "between partners and roots"
        )


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
        return is_authority(certificate)
    except ValueError as error:
        raise NotTrusted(f"{_name(certificate)} has unreadable extensions: {error}") from error


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())
