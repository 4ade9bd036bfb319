# SPDX-License-Identifier: EUPL-1.2

"""Encrypting what we send and decrypting what we receive, from the spool to the spool, in fixed memory.

Signed first, then encrypted; decrypted first, then verified (ENC-05). Plain octets that are not proven yet are in the
spool under a name that nothing refers to, and are thrown away with the message that is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from adapter.authorities import Authority, KnownAgreement
from adapter.ebms import (
    AES256_GCM,
    ENCRYPTED_CONTENT_TYPE,
    LEGACY_ENCRYPTION,
    RSA_1_5,
    RSA_OAEP_MGF1P,
    STRICT_ENCRYPTION,
    DecryptionRefused,
    EncryptionPlan,
    EncryptionPolicy,
    EncryptionProblem,
    decrypt_payload,
    encrypt_payload,
)
from adapter.msh.intake import IncomingMessage, IncomingPart
from adapter.msh.sign import KeyNotHeld
from adapter.pki import KeyPair
from adapter.store import Content, NewPayload, Spool
from cpa import CpaError, Exchange

_BATCH: Final = 1024 * 1024
"""Octets per step in a thread: enough to make the way there and back cheap."""

ResultT = TypeVar("ResultT")


class CannotDecrypt(KeyNotHeld):
    """The agreement tells the partner to encrypt for a certificate whose key we do not have."""

    reason = "cannot_decrypt"


class PayloadRefused(Exception):
    """A payload is not encrypted as agreed, or cannot be decrypted; `detail` is for the log only (ENC-08)."""

    def __init__(self, content_id: str, detail: str) -> None:
        super().__init__(f"payload {content_id}: {detail}")
        self.content_id = content_id


@dataclass(frozen=True, slots=True)
class PayloadEncryption:
    """Encryption and decryption of the payloads in one exchange."""

    spool: Spool
    known: KnownAgreement
    exchange: Exchange

    async def encrypt(self, payloads: tuple[NewPayload, ...]) -> tuple[NewPayload, ...]:
        """The payloads as they go over the line; where nothing is to be encrypted, as they are.

        Raises EncryptionProblem; the plain contents stay as they are, they belong to the caller.
        """
        if not self.exchange.requires_encryption:
            return payloads
        encrypted: list[NewPayload] = []
        try:
            for payload in payloads:
                encrypted.append(await self._encrypt(payload))
        except BaseException:
            await self._delete(done.content for done in encrypted)
            raise
        return tuple(encrypted)

    async def decrypt(
        self, incoming: IncomingMessage, authority: Authority, named: list[IncomingPart]
    ) -> IncomingMessage:
        """The message with the plain payloads in place of the encrypted parts that the Manifest names (step 20).

        Raises PayloadRefused and CannotDecrypt; `incoming` is then as it was.
        """
        self._held_key(authority)
        plain: dict[str, IncomingPart] = {}
        try:
            for part in named:
                if part.content is not None and part.problem is None:
                    plain[part.content_id] = await self._decrypt(part, part.content, authority)
        except BaseException:
            await self._delete(done.content for done in plain.values())
            raise
        await self._delete(part.content for part in named if part.content_id in plain)
        return replace(incoming, parts=tuple(plain.get(p.content_id, p) for p in incoming.parts))

    async def _encrypt(self, payload: NewPayload) -> NewPayload:
        plan = self._plan(payload)
        content, _ = await self._through(
            _without_result(encrypt_payload(self._chunks(payload.content), plan))
        )
        return replace(payload, content=content, content_type=ENCRYPTED_CONTENT_TYPE)

    def _plan(self, payload: NewPayload) -> EncryptionPlan:
        certificate = self.exchange.encryption_certificate
        if certificate is None:
            raise EncryptionProblem(
                f"{self.known.cpa_id} names no certificate to encrypt for; ask for a new CPA"
            )
        policy = self._policy()
        agreed = [method for method in self.exchange.encryption_algorithms if method in policy.data_methods]
        method = agreed[0] if agreed else AES256_GCM
        # peers that know CBC only know RSA 1.5 only (both under `legacy`)
        old = method not in STRICT_ENCRYPTION.data_methods
        return EncryptionPlan(
            certificate=certificate.x509,
            media_type=payload.content_type or "application/octet-stream",
            part_id=payload.content_id or "payload",
            data_method=method,
            key_method=RSA_1_5 if old else RSA_OAEP_MGF1P,
            policy=policy,
            element_type=old,
        )

    async def _decrypt(self, part: IncomingPart, content: Content, authority: Authority) -> IncomingPart:
        keys = self._held_key(authority)
        octets = decrypt_payload(
            self._chunks(content), keys.private_key, keys.certificate, policy=self._policy()
        )
        try:
            plain, decrypted = await self._through(octets)
        except DecryptionRefused as refused:
            raise PayloadRefused(part.content_id, refused.reason) from refused
        return replace(part, content=plain, content_type=decrypted.media_type or "application/octet-stream")

    async def _through(self, octets: Generator[bytes, None, ResultT]) -> tuple[Content, ResultT]:
        """Spool what a generator gives, which works in a thread; its value comes along."""
        results: list[ResultT] = []
        async with self.spool.writer() as writer:
            async for batch in _in_thread(_collecting(octets, results)):
                await writer.write(batch)
            return await writer.commit(), results[0]

    async def _delete(self, contents: Iterable[Content | None]) -> None:
        for content in contents:
            if content is not None:
                await self.spool.delete(content)

    def _chunks(self, content: Content) -> Iterator[bytes]:
        return self.spool.chunks(content)

    def _policy(self) -> EncryptionPolicy:
        return LEGACY_ENCRYPTION if self.known.settings.legacy else STRICT_ENCRYPTION

    def _held_key(self, authority: Authority) -> KeyPair:
        """The key pair that the partner encrypts for. Raises CannotDecrypt where it is none of ours.

        Asked before anything is judged: a key that is not ours makes every payload look tampered with. A renewed
        certificate serves only when it kept its key: the partner encrypts for the one in the agreement.
        """
        agreed = self.exchange.encryption_certificate
        try:
            for pair in authority.key_pairs:
                if agreed is not None and agreed.x509.public_key() == pair.certificate.public_key():
                    return pair
        except CpaError as problem:
            raise CannotDecrypt(str(problem)) from problem
        raise CannotDecrypt(
            f"authority {authority.name}: {authority.keys.certificate_path} is not the certificate that agreement "
            f"{self.known.cpa_id} tells its partner to encrypt for; configure that certificate, or add a new CPA"
        )


def _collecting(octets: Generator[bytes, None, ResultT], results: list[ResultT]) -> Iterator[bytes]:
    results.append((yield from octets))


def _without_result(octets: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield from octets


async def _in_thread(octets: Iterator[bytes]) -> AsyncIterator[bytes]:
    """What an iterator gives, in batches, each made in a thread."""
    while batch := await asyncio.to_thread(_batch, octets):
        yield batch


def _batch(octets: Iterator[bytes]) -> bytes:
    gathered = bytearray()
    for piece in octets:
        gathered += piece
        if len(gathered) >= _BATCH:
            break
    return bytes(gathered)
