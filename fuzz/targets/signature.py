# SPDX-License-Identifier: EUPL-1.2

"""A signature over an envelope: what is accepted, libxmlsec1 must accept too.

A changed document fails at its SignatureValue, behind which most of the reading lies. So libxmlsec1 signs it anew as it
stands, with the key that is expected; what is then verified is what an attacker who holds that key could send.
"""

import xmlsec
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from adapter.ebms import SignatureRefused, SoapFault, verify_signature
from adapter.ebms.names import DS_NS
from cpa import XmlRefused, parse_xml
from tests.ebms.conftest import Judge, Payloads, new_signer

_SIGNER = new_signer("them", rsa.generate_private_key(65537, 2048))
_PAYLOADS = Payloads({"p1@them": b"one\r\ntwo\n\x00three\r", "p2@them": b"<melding>1</melding>"})
_JUDGE = Judge()


def one_input(data: bytes) -> None:
    """Verify a document as it stands, and signed anew."""
    _verify(data)
    try:
        root = parse_xml(data)
        signed = _JUDGE.sign(data, _SIGNER, _PAYLOADS.octets) if _has_signature(root) else None
    except (XmlRefused, xmlsec.Error, etree.XMLSyntaxError, SystemError):
        return  # SystemError is how the binding of libxmlsec1 says that there is no such payload
    if signed is not None and _verify(signed):
        assert _JUDGE.verify(signed, _SIGNER, _PAYLOADS.octets), "libxmlsec1 refuses what was accepted"
        assert set(_PAYLOADS.octets) <= {uri.removeprefix("cid:") for uri in _JUDGE.opened}


def _has_signature(root: etree._Element) -> bool:
    return next(root.iter(f"{{{DS_NS}}}Signature"), None) is not None


def _verify(data: bytes) -> bool:
    try:
        verify_signature(
            parse_xml(data),
            certificate=_SIGNER.certificate,
            payloads=_PAYLOADS,
            required_cids=tuple(_PAYLOADS.octets),
        )
    except (XmlRefused, SignatureRefused, SoapFault):
        return False
    return True
