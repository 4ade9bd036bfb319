# SPDX-License-Identifier: EUPL-1.2

"""The six Digikoppeling ebMS2 profiles, and which of them an action follows (KV ch02, PRF-01).

The profile is not on the wire and not in the CPA: it is derived from the channel and its document exchange.
"""

from enum import StrEnum

from cpa.model import DeliveryChannel, Frequency, MessagingCharacteristics, SyncReplyMode
from cpa.names import ACTOR_NEXT_MSH


class Profile(StrEnum):
    """A Digikoppeling profile by its official name: best effort or reliable; plain, signed or encrypted."""

    OSB_BE = "osb-be"
    OSB_RM = "osb-rm"
    OSB_BE_S = "osb-be-s"
    OSB_RM_S = "osb-rm-s"
    OSB_BE_E = "osb-be-e"
    OSB_RM_E = "osb-rm-e"

    @property
    def reliable(self) -> bool:
        """Whether messages are acknowledged, retried and freed of duplicates."""
        return self.value.startswith("osb-rm")

    @property
    def signed(self) -> bool:
        """Whether messages are signed; encrypted profiles sign as well."""
        return self.value.endswith("-s") or self.encrypted

    @property
    def encrypted(self) -> bool:
        """Whether payloads are encrypted."""
        return self.value.endswith("-e")

    @classmethod
    def of(cls, *, reliable: bool, signed: bool, encrypted: bool) -> "Profile | None":
        """The profile with these properties; None for encrypted without signed, which does not exist."""
        if encrypted and not signed:
            return None
        strength = "-e" if encrypted else "-s" if signed else ""
        return cls(("osb-rm" if reliable else "osb-be") + strength)


def profile_of(sender: DeliveryChannel, receiver: DeliveryChannel) -> Profile | None:
    """The profile of what goes from the sender's channel to the receiver's channel.

    Returns None where the two contradict each other, or where a channel mixes properties of profiles
    (for example: acknowledgments always, duplicate elimination never).
    """
    sends, receives = sender.doc_exchange.sender, receiver.doc_exchange.receiver
    reliable = _agreed(
        _is_reliable(sender.characteristics, sends is not None and sends.reliable_messaging is not None),
        _is_reliable(
            receiver.characteristics, receives is not None and receives.reliable_messaging is not None
        ),
    )
    signed = _agreed(
        sends is not None and sends.non_repudiation is not None,
        receives is not None and receives.non_repudiation is not None,
    )
    encrypted = _agreed(
        sends is not None and sends.digital_envelope is not None,
        receives is not None and receives.digital_envelope is not None,
    )
    if reliable is None or signed is None or encrypted is None:
        return None
    for channel in (sender, receiver):
        if not _receipts_fit(channel.characteristics, reliable=reliable, signed=signed):
            return None
    return Profile.of(reliable=reliable, signed=signed, encrypted=encrypted)


def _agreed(ours: bool | None, theirs: bool | None) -> bool | None:
    return ours if ours == theirs else None


def _is_reliable(characteristics: MessagingCharacteristics, has_reliable_messaging: bool) -> bool | None:
    """Whether this is reliable messaging, best effort, or (None) neither as a whole."""
    both = {characteristics.ack_requested, characteristics.duplicate_elimination}
    if both == {Frequency.ALWAYS} and has_reliable_messaging:
        return True
    if both == {Frequency.NEVER} and not has_reliable_messaging:
        return False
    return None


def _receipts_fit(characteristics: MessagingCharacteristics, *, reliable: bool, signed: bool) -> bool:
    modes = {SyncReplyMode.NONE, SyncReplyMode.MSH_SIGNALS_ONLY} if reliable else {SyncReplyMode.NONE}
    if characteristics.sync_reply_mode not in modes or characteristics.actor == ACTOR_NEXT_MSH:
        return False
    if reliable and signed:
        return characteristics.ack_signature_requested is not Frequency.PER_MESSAGE
    return characteristics.ack_signature_requested is Frequency.NEVER
