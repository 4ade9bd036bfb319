# SPDX-License-Identifier: EUPL-1.2

"""Signing what we send: with the key and the algorithms of the agreement, as far as policy allows them."""

from collections.abc import Sequence
from typing import ClassVar

from lxml import etree

from adapter.authorities import Authority, KnownAgreement
from adapter.ebms import RSA_SHA256, SHA2_POLICY, SHA256, sign_envelope
from adapter.msh.digests import digest_of
from adapter.pki import KeyPair
from adapter.store import Content, Spool
from cpa import CpaError, Exchange


class KeyNotHeld(Exception):
    """The key that the agreement names is not the one we have: nothing may be accepted (HTTP 503).

    `reason` is a short stable word for the counter and the log.
    """

    reason: ClassVar[str] = "cannot_sign"


class CannotSign(KeyNotHeld):
    """We cannot sign as the agreement says."""


def sign(
    root: etree._Element,
    authority: Authority,
    known: KnownAgreement,
    exchange: Exchange,
    payloads: Sequence[tuple[str, Content]] = (),
    spool: Spool | None = None,
) -> None:
    """Sign an envelope, and the payloads (by Content-ID) with it; as the last step, in a thread.

    Raises CannotSign where our key is not the agreed one, SigningProblem where the envelope cannot be signed.
    """
    keys = signing_keys(authority, known, exchange)
    agreed = (method for method in exchange.signature_algorithms if method in SHA2_POLICY.signature_methods)
    # an old agreement may name SHA-1: policy wins, and the default is used (pitfall 15)
    hashing = exchange.hash_function if exchange.hash_function in SHA2_POLICY.digest_methods else SHA256
    digests = (
        [] if spool is None else [(cid, digest_of(spool, content, hashing)) for cid, content in payloads]
    )
    sign_envelope(
        root,
        private_key=keys.private_key,
        certificate=keys.certificate,
        payload_digests=digests,
        signature_algorithm=next(agreed, RSA_SHA256),
        digest_algorithm=hashing,
    )


def signing_keys(authority: Authority, known: KnownAgreement, exchange: Exchange) -> KeyPair:
    """The key pair with which we sign in an exchange: the agreed certificate, or its renewed successor.

    Old and new certificate serve side by side, each where an agreement names it (LCY-01, LCY-04). Raises CannotSign
    where no key of ours is either.
    """
    agreed = exchange.signing_certificate
    try:
        for pair in authority.spare_keys:
            if agreed is not None and agreed.x509 == pair.certificate:
                return pair
        if agreed is not None and known.may_use(authority.keys.certificate, agreed):
            return authority.keys
    except CpaError as problem:
        raise CannotSign(str(problem)) from problem
    raise CannotSign(
        f"authority {authority.name}: {authority.keys.certificate_path} is not the signing certificate of agreement "
        f"{known.cpa_id}; configure the certificate that stands in the CPA, or add a CPA with the new one"
    )
