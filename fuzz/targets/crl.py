# SPDX-License-Identifier: EUPL-1.2

"""A certificate revocation list, as it comes over plain HTTP from whoever answers there.

A changed list fails at its signature; what is read before that is anybody's, and what is read after it is the issuer's.
"""

from datetime import UTC, datetime

from cryptography import x509

from adapter.pki import CrlProblem, read_crl
from fuzz.targets import CRL_ISSUER

_ISSUER = x509.load_pem_x509_certificate(CRL_ISSUER.read_bytes())
_NOW = datetime(2100, 1, 1, tzinfo=UTC)


def one_input(data: bytes) -> None:
    """Read a list, and ask it for what it revokes."""
    try:
        crl = read_crl(data, [_ISSUER], _NOW)
    except CrlProblem as problem:
        assert str(problem)
        return
    assert crl.is_expired(_NOW)
    assert crl.covers(_ISSUER) in {True, False}
    assert crl.revocation(0) is None
