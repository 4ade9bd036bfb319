# SPDX-License-Identifier: EUPL-1.2

"""Algorithms of XML signatures and XML encryption by their URI, and which signatures are accepted."""

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

XENC_NS: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11_NS: Final = "http://www.w3.org/2009/xmlenc11#"

AES128_GCM: Final = XENC11_NS + "aes128-gcm"
AES192_GCM: Final = XENC11_NS + "aes192-gcm"
AES256_GCM: Final = XENC11_NS + "aes256-gcm"
AES128_CBC: Final = XENC_NS + "aes128-cbc"
AES192_CBC: Final = XENC_NS + "aes192-cbc"
AES256_CBC: Final = XENC_NS + "aes256-cbc"
TRIPLEDES_CBC: Final = XENC_NS + "tripledes-cbc"

RSA_OAEP_MGF1P: Final = XENC_NS + "rsa-oaep-mgf1p"
"""RSA-OAEP whose mask is always made with SHA-1; the digest is SHA-1 unless a DigestMethod says otherwise."""

RSA_OAEP: Final = XENC11_NS + "rsa-oaep"
"""RSA-OAEP of XML Encryption 1.1, which names digest and mask; both are SHA-1 where it does not."""

RSA_1_5: Final = XENC_NS + "rsa-1_5"

MASKS: Final = {XENC11_NS + f"mgf1sha{size}": f"sha{size}" for size in (1, 256, 384, 512)}
"""Names in hashlib of the digests behind the MGFs of RSA_OAEP that can be computed."""


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
