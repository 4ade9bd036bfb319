# SPDX-License-Identifier: EUPL-1.2

"""The error of this package: a CPA that cannot be used as it stands."""

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MALFORMED_X509: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""How the library says that a certificate or list is not as it should be, when it is loaded or looked into: a
TypeError where a name has a BIT STRING, for one."""


class CpaError(ValueError):
    """A CPA, or a part of it, is structurally wrong; the text names the element, its id and its line."""
