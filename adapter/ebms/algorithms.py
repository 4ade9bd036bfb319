"""Algorithms of XML signatures by their URI, and which of them are accepted."""

from dataclasses import dataclass
from typing import Final

ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11: Final = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"

CANONICALIZATIONS: Final = frozenset({INCLUSIVE, INCLUSIVE_11, EXCLUSIVE})
"""Canonicalisations that are applied, none of which keeps comments (SIG-11, SIG-12)."""

SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#sha384"
SHA512: Final = "http://www.w3.org/2001/04/xmlenc#sha512"

HASHES: Final = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
"""Names in hashlib of the DigestMethods that can be computed; the policy says which may be."""

RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
RSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
RSA_SHA1: Final = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Which SignatureMethods and DigestMethods, by URI, are accepted, whatever a CPA says (pitfall 15)."""

    signature_methods: frozenset[str]
    digest_methods: frozenset[str]


SHA2_POLICY: Final = SignaturePolicy(
    signature_methods=frozenset(
        {RSA_SHA256, RSA_SHA384, RSA_SHA512}
        | {f"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha{size}" for size in (256, 384, 512)}
        | {f"http://www.w3.org/2007/05/xmldsig-more#sha{size}-rsa-MGF1" for size in (256, 384, 512)}
    ),
    digest_methods=frozenset({SHA256, SHA384, SHA512}),
)
"""What Digikoppeling allows (BV SIGN001, SIGN003, SIGN004)."""

LEGACY_POLICY: Final = SignaturePolicy(
    signature_methods=SHA2_POLICY.signature_methods | {RSA_SHA1},
    digest_methods=SHA2_POLICY.digest_methods | {SHA1},
)
"""SHA-1 too, for agreements with the legacy switch on."""
