# SPDX-License-Identifier: EUPL-1.2

"""The agreements of the interop world: what `write_cpa` makes, and how other people's CPAs differ from that."""

from copy import deepcopy
from itertools import product

from lxml import etree

from cpa import SyncReplyMode
from cpa.names import ACTOR_TO_PARTY_MSH, AES256_GCM, CPPA
from cpa.xml import parse_xml

_NAMES = {"cpa": CPPA}


def signals_synchronous(document: str) -> str:
    """With `mshSignalsOnly` on the channels for signals too, where `write_cpa` has it on the others only."""
    return document.replace(f'syncReplyMode="{SyncReplyMode.NONE}"', 'syncReplyMode="mshSignalsOnly"')


def encrypted_with(document: str, algorithm: str) -> str:
    """With another algorithm for payloads."""
    assert AES256_GCM in document
    return document.replace(AES256_GCM, algorithm)


def without_signal_actor(document: str) -> str:
    """Without `actor` on the channels for signals, which a CPA need not have."""
    root = parse_xml(document.encode())
    channels = root.findall(".//cpa:DeliveryChannel", _NAMES)
    signals = [one for one in channels if "CH_MSH" in one.attrib[f"{{{CPPA}}}channelId"]]
    for channel in signals:
        characteristics = channel.find("cpa:MessagingCharacteristics", _NAMES)
        assert characteristics is not None
        assert characteristics.attrib.pop(f"{{{CPPA}}}actor") == ACTOR_TO_PARTY_MSH
    assert len(signals) == 2
    return etree.tostring(root, encoding="unicode")


def with_action(document: str, like: str, action: str) -> str:
    """With one more action, sent and received as an action that is there."""
    root = parse_xml(document.encode())
    ids = {}
    for kind, number in product(("CanSend", "CanReceive"), range(2)):
        for found in root.findall(f".//cpa:PartyInfo[{number + 1}]//cpa:{kind}", _NAMES):
            binding = found.find("cpa:ThisPartyActionBinding", _NAMES)
            assert binding is not None
            if binding.get(f"{{{CPPA}}}action") == like:
                more = deepcopy(found)
                found.addnext(more)
                ids[binding.get(f"{{{CPPA}}}id")] = more
    assert len(ids) == 2
    for old, more in ids.items():
        binding = more.find("cpa:ThisPartyActionBinding", _NAMES)
        other = more.find("cpa:OtherPartyActionBinding", _NAMES)
        assert binding is not None
        assert other is not None
        binding.set(f"{{{CPPA}}}id", f"{old}_{action}")
        binding.set(f"{{{CPPA}}}action", action)
        other.text = f"{other.text}_{action}"
    return etree.tostring(root, encoding="unicode")
