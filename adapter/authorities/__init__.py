# SPDX-License-Identifier: EUPL-1.2

"""Who we are: each authority with its agreements, keys and routes, as one immutable snapshot."""

from adapter.authorities.snapshot import (
    AgreementDocument,
    Authorities,
    Authority,
    AuthorityProblem,
    KnownAgreement,
    KnownAgreements,
    build_authorities,
)

__all__ = [
    "AgreementDocument",
    "Authorities",
    "Authority",
    "AuthorityProblem",
    "KnownAgreement",
    "KnownAgreements",
    "build_authorities",
]
