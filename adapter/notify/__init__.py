# SPDX-License-Identifier: EUPL-1.2

"""Telling people: what there is to tell, to whom, and by which channel."""

from adapter.notify.channel import Channel, ChannelProblem
from adapter.notify.channels import composer_of, make_channel, make_channels
from adapter.notify.composing import Composer
from adapter.notify.links import Links
from adapter.notify.notification import Group, Item, Notification
from adapter.notify.outage import Outage
from adapter.notify.telling import Teller
from adapter.notify.watching import EVERY, GATHER, Watch

__all__ = [
    "EVERY",
    "GATHER",
    "Channel",
    "ChannelProblem",
    "Composer",
    "Group",
    "Item",
    "Links",
    "Notification",
    "Outage",
    "Teller",
    "Watch",
    "composer_of",
    "make_channel",
    "make_channels",
]
