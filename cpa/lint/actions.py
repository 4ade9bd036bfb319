# SPDX-License-Identifier: EUPL-1.2

"""Checks of services and actions: names, counterparts, profile and receipts."""

from collections.abc import Iterator

from cpa.lint.finding import Problem, RuleTable, Scope, Severity
from cpa.lookup import Pair
from cpa.model import (
    ActionBinding,
    BusinessTransactionCharacteristics,
    CollaborationRole,
    Frequency,
    PartyInfo,
    PersistenceLevel,
    SyncReplyMode,
)
from cpa.names import ACKNOWLEDGMENT, MSH_SERVICE_PREFIX, SERVICE_TYPE
from cpa.profile import Profile


def _roles(scope: Scope) -> Iterator[CollaborationRole]:
    for party in scope.document.parties:
        yield from party.roles


def _white_space(scope: Scope) -> Iterator[Problem]:
    why = "holds white space; a receiver that compares exactly refuses the message"
    for role in _roles(scope):
        if _has_white_space(role.service.name):
            yield Problem(Severity.ERROR, f"Service {role.service.name!r}", why)
        for binding in _bindings(role):
            if _has_white_space(binding.action):
                where = f"ThisPartyActionBinding {binding.id!r}"
                yield Problem(Severity.ERROR, where, f"action {binding.action!r} {why}")


def _bindings(role: CollaborationRole) -> Iterator[ActionBinding]:
    for send in role.all_can_send():
        yield send.binding
    for receive in role.all_can_receive():
        yield receive.binding


def _has_white_space(text: str) -> bool:
    return any(character.isspace() for character in text)


def _msh_service(scope: Scope) -> Iterator[Problem]:
    for role in _roles(scope):
        if role.service.name.startswith(MSH_SERVICE_PREFIX):
            yield Problem(
                Severity.ERROR,
                f"Service {role.service.name!r}",
                "is in the namespace of the message service itself; its messages would be taken for signals",
            )


def _service_type(scope: Scope) -> Iterator[Problem]:
    for role in _roles(scope):
        if role.service.type != SERVICE_TYPE:
            yield Problem(
                Severity.WARNING,
                f"Service {role.service.name!r}",
                f"type is {role.service.type!r} where Digikoppeling has {SERVICE_TYPE};"
                " messages must carry the type of the CPA",
            )


def _counterparts(scope: Scope) -> Iterator[Problem]:
    found = tuple(scope.pairs())
    sent = {pair.send.binding.id for pair in found}
    received = {pair.receive.binding.id for pair in found}
    for party in scope.document.parties:
        for role in party.roles:
            for send in role.all_can_send():
                if send.binding.id not in sent:
                    yield _lonely(party, f"CanSend {send.binding.id!r}", send.binding.action, "CanReceive")
            for receive in role.all_can_receive():
                if receive.binding.id not in received:
                    where = f"CanReceive {receive.binding.id!r}"
                    yield _lonely(party, where, receive.binding.action, "CanSend")


def _lonely(party: PartyInfo, where: str, action: str, counterpart: str) -> Problem:
    return Problem(
        Severity.ERROR,
        where,
        f"the other party of {party.name!r} has no {counterpart} for {action!r} with the same service"
        " and type that is linked to it; such messages are refused",
    )


def _one_profile(scope: Scope) -> Iterator[Problem]:
    for pair in scope.pairs():
        if pair.exchange.profile is None:
            yield Problem(
                Severity.WARNING,
                _channels(pair),
                f"the channels of action {pair.action!r} follow none of the six Digikoppeling profiles;"
                " the parties may expect different acknowledgments or signatures",
            )


def _business_characteristics(scope: Scope) -> Iterator[Problem]:
    """The fixed values of the profile; timeToPerform is free (CPA-08)."""
    for pair in scope.pairs():
        profile = pair.exchange.profile
        if profile is None:
            continue
        for binding in (pair.send.binding, pair.receive.binding):
            different = tuple(_differences(binding.characteristics, profile))
            if different:
                yield Problem(
                    Severity.WARNING,
                    f"ThisPartyActionBinding {binding.id!r}",
                    f"{', '.join(different)} differs from what {profile} has; the channel decides,"
                    " but the parties may have meant another profile",
                )


def _differences(given: BusinessTransactionCharacteristics, profile: Profile) -> Iterator[str]:
    flags = {
        "isNonRepudiationRequired": (given.is_non_repudiation_required, profile.signed),
        "isAuthorizationRequired": (given.is_authorization_required, True),
        "isIntelligibleCheckRequired": (given.is_intelligible_check_required, False),
    }
    if not profile.signed or profile.reliable:
        receipt = given.is_non_repudiation_receipt_required
        flags["isNonRepudiationReceiptRequired"] = (receipt, profile.signed)
    levels = {
        "isConfidential": (given.is_confidential, profile.encrypted),
        "isAuthenticated": (given.is_authenticated, profile.signed),
        "isTamperProof": (given.is_tamper_proof, profile.signed),
    }
    for name, (flag, wanted) in flags.items():
        if flag is not None and flag is not wanted:
            yield name
    for name, (level, persistent) in levels.items():
        if level is not None and not _level_fits(level, persistent=persistent):
            yield name


def _level_fits(level: PersistenceLevel, *, persistent: bool) -> bool:
    return level.persistent if persistent else level is PersistenceLevel.TRANSIENT


def _receipt_is_asked(scope: Scope) -> Iterator[Problem]:
    for pair in scope.pairs():
        exchange = pair.exchange
        reliable = exchange.characteristics.ack_requested is Frequency.ALWAYS
        asked = exchange.characteristics.ack_signature_requested is Frequency.ALWAYS
        if exchange.requires_signature and reliable and not asked:
            yield Problem(
                Severity.WARNING,
                _channels(pair),
                f"ackSignatureRequested is {exchange.characteristics.ack_signature_requested} while"
                f" {pair.action!r} is signed; its acknowledgment is no proof of receipt",
            )


def _receipt_can_be_signed(scope: Scope) -> Iterator[Problem]:
    for pair in scope.pairs():
        exchange = pair.exchange
        characteristics = exchange.characteristics
        if not exchange.requires_signature or characteristics.ack_requested is Frequency.NEVER:
            continue
        channel = pair.receiver.channel_for_signal(ACKNOWLEDGMENT)
        binding = channel.doc_exchange.sender
        if binding is None or binding.non_repudiation is None:
            never = characteristics.ack_signature_requested is Frequency.NEVER
            yield Problem(
                Severity.WARNING if never else Severity.ERROR,
                f"DeliveryChannel {channel.id!r}",
                f"has no SenderNonRepudiation, so {pair.receiver.name!r} cannot sign the acknowledgment"
                f" of {pair.action!r}",
            )


def _sync_in_best_effort(scope: Scope) -> Iterator[Problem]:
    for pair in scope.pairs():
        characteristics = pair.exchange.characteristics
        best_effort = characteristics.ack_requested is Frequency.NEVER
        if best_effort and characteristics.sync_reply_mode is not SyncReplyMode.NONE:
            yield Problem(
                Severity.ERROR,
                _channels(pair),
                f"syncReplyMode is {characteristics.sync_reply_mode} for best-effort action {pair.action!r};"
                " there is no signal to return, and a message with SyncReply is refused",
            )


def _same_sync_mode(scope: Scope) -> Iterator[Problem]:
    for pair in scope.pairs():
        exchange = pair.exchange
        theirs = exchange.receiver_channel.characteristics.sync_reply_mode
        if exchange.characteristics.sync_reply_mode is not theirs:
            yield Problem(
                Severity.WARNING,
                _channels(pair),
                f"syncReplyMode is {exchange.characteristics.sync_reply_mode} for the sender and {theirs} for"
                f" the receiver of {pair.action!r}; one waits where the other does not answer",
            )


def _channels(pair: Pair) -> str:
    sender, receiver = pair.send.binding.channel, pair.receive.binding.channel
    return f"DeliveryChannel {sender.id!r} and {receiver.id!r}"


ACTION_RULES: RuleTable = (
    ("HDR-14", _white_space),
    ("HDR-16", _msh_service),
    ("NAM-01", _service_type),
    ("CPA-10", _counterparts),
    ("PRF-01", _one_profile),
    ("CPA-08", _business_characteristics),
    ("ACK-09", _receipt_is_asked),
    ("CPA-07", _receipt_can_be_signed),
    ("SYN-02", _sync_in_best_effort),
    ("SYN-03", _same_sync_mode),
)
