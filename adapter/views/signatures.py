# SPDX-License-Identifier: EUPL-1.2

"""Whether the signature of a message in a file holds, and what that says about who signed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509

from adapter.ebms import (
    LEGACY_POLICY,
    SHA2_POLICY,
    Envelope,
    PayloadSource,
    ReferenceDigest,
    SignatureRefused,
    VerifiedSignature,
    key_info_certificates,
    reference_digests,
    refers_to,
    signatures_of,
    verify_signature,
)
from adapter.pki import oin_of
from adapter.views.certificates import describe_certificate
from cpa import CpaError, Exchange

Description = dict[str, Any]

_NOBODY: Final = (
    "judged by the certificate that the message itself carries, which proves nothing about who signed"
)
NAME_IT: Final = "name the agreement with --cpa"
_RENEWED: Final = (
    "made with another certificate of the same OIN than the CPA names; the adapter takes it where "
    "certificate_renewal allows that and it chains to a root under [trust]"
)


@dataclass(frozen=True, slots=True)
class _Stated:
    """Stands in for payloads that are not there: their digests are taken from the signature, so that the rest of
    it can be judged.
    """

    references: Sequence[ReferenceDigest]

    def digest(self, content_id: str, algorithm: str) -> bytes:
        """The digest that the signature states. Raises KeyError."""
        for reference in self.references:
            if refers_to(reference.uri, content_id) and reference.digest_method == algorithm:
                return reference.digest_value
        raise KeyError(content_id)

    def read(self, content_id: str, limit: int) -> bytes:  # noqa: ARG002 - a protocol
        """Nothing is there to be read."""
        raise KeyError(content_id)


@dataclass(frozen=True, slots=True)
class _Judge:
    """The certificate that a signature is judged by, where it is from, and what is to be said of that."""

    certificate: x509.Certificate
    source: str
    remark: str | None = None


def describe_signature(
    envelope: Envelope,
    exchange: Exchange | None,
    payloads: PayloadSource | None,
    content_ids: Sequence[str],
    now: datetime,
    hint: str = NAME_IT,
) -> Description:
    """The signature of a message: whether it holds, by which certificate, and over what.

    `exchange` is what was agreed for the message, if that is known, and `hint` is what to say where it is not;
    `payloads` None: they are not in the file; `content_ids` are those of the parts that are. `holds` is None where it
    cannot be judged.
    """
    if not signatures_of(envelope.root):
        required = exchange is not None and exchange.requires_signature and envelope.is_business
        remark = "the agreement asks for a signature: this message is refused" if required else None
        return {"present": False, "holds": None, "remark": remark}
    try:
        judge = _judge(envelope, exchange, hint)
        source = payloads if payloads is not None else _Stated(_stated(envelope))
        verified, legacy = _verify(envelope, judge, source, _required(envelope, content_ids))
    except (SignatureRefused, CpaError) as problem:
        return {"present": True, "holds": False, "reason": str(problem), **_shown(envelope, now)}
    except LookupError:
        reason = f"the message carries no certificate to judge it by; {hint}"
        return {"present": True, "holds": None, "reason": reason}
    remarks = [judge.remark, *_remarks(envelope, exchange, verified, payloads is not None, legacy=legacy)]
    return {
        "present": True,
        "holds": True,
        "judgedBy": judge.source,
        "remark": "; ".join(remark for remark in remarks if remark) or None,
        "signatureMethod": verified.signature_method,
        "certificate": describe_certificate(verified.certificate, now),
        "references": [_reference(one) for one in verified.references],
    }


def _judge(envelope: Envelope, exchange: Exchange | None, hint: str) -> _Judge:
    """The certificate to judge by. Raises LookupError where there is none, CpaError for one that cannot be read."""
    shown = key_info_certificates(envelope.root)
    agreed = exchange.signing_certificate if exchange is not None else None
    if agreed is None:
        if not shown:
            raise LookupError("KeyInfo")
        return _Judge(
            shown[0],
            "KeyInfo",
            f"{_NOBODY}: {hint}" if exchange is None else "the agreement names no certificate",
        )
    expected = agreed.x509
    if (
        shown
        and shown[0] != expected
        and oin_of(expected) is not None
        and oin_of(shown[0]) == oin_of(expected)
    ):
        return _Judge(shown[0], "KeyInfo, by the OIN of the CPA's certificate", _RENEWED)
    return _Judge(expected, f"CPA, certificate {agreed.id}")


def _verify(
    envelope: Envelope, judge: _Judge, payloads: PayloadSource, required: Sequence[str]
) -> tuple[VerifiedSignature, bool]:
    """The signature, and whether it needs algorithms of old. Raises SignatureRefused."""
    wanted: dict[str, Any] = {
        "certificate": judge.certificate,
        "payloads": payloads,
        "required_cids": required,
    }
    try:
        return verify_signature(envelope.root, policy=SHA2_POLICY, **wanted), False
    except SignatureRefused as refused:
        try:
            return verify_signature(envelope.root, policy=LEGACY_POLICY, **wanted), True
        except SignatureRefused:
            raise refused from None


def _required(envelope: Envelope, content_ids: Sequence[str]) -> tuple[str, ...]:
    """The content ids that the Manifest names, as the parts have them."""
    return tuple(
        next((cid for cid in content_ids if refers_to(reference.href, cid)), reference.href.partition(":")[2])
        for reference in envelope.manifest or ()
    )


def _stated(envelope: Envelope) -> tuple[ReferenceDigest, ...]:
    info = signatures_of(envelope.root)[0].find("{*}SignedInfo")
    return reference_digests(info) if info is not None else ()


def _remarks(
    envelope: Envelope,
    exchange: Exchange | None,
    verified: VerifiedSignature,
    with_payloads: bool,
    *,
    legacy: bool,
) -> list[str]:
    found = []
    if legacy:
        found.append("by algorithms of old, which the adapter takes only with legacy = true")
    if not with_payloads and envelope.manifest:
        found.append("the payloads are not in this file, so only the envelope was verified")
    agreed = exchange.signature_algorithms if exchange is not None else ()
    if agreed and verified.signature_method not in agreed:
        found.append(f"agreed was {', '.join(agreed)}")
    return found


def _shown(envelope: Envelope, now: datetime) -> Description:
    """The certificate in the message, to look for the cause of a refusal."""
    shown = key_info_certificates(envelope.root)
    return {"keyInfo": describe_certificate(shown[0], now)} if shown else {}


def _reference(reference: ReferenceDigest) -> Description:
    return {
        "uri": reference.uri or "(the envelope)",
        "digest": reference.digest_value.hex(),
        "digestMethod": reference.digest_method,
    }
