# SPDX-License-Identifier: EUPL-1.2

"""What every channel to people can do, whatever the road."""

from pathlib import Path
from typing import Protocol

from adapter.config import ChannelConfig, read_secret
from adapter.notify.notification import Notification
from adapter.pki import TrustStore


class ChannelProblem(Exception):
    """A channel could not send, or could not be reached; the text says why, without anything secret."""


class Channel(Protocol):
    """One road to people, as configured."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def options(self) -> ChannelConfig:
        """Its options."""

    async def send(self, notification: Notification) -> None:
        """Send a notification, and return when the server took it. Raises ChannelProblem."""

    async def probe(self) -> str:
        """See whether the server could be sent to, without sending; return what was found. Raises ChannelProblem."""

    async def close(self) -> None:
        """Let go of its connections."""


def secret_of(path: Path) -> str:
    """The secret in a file, read each time so that it can be replaced. Raises ChannelProblem."""
    try:
        return read_secret(path)
    except ValueError as error:
        raise ChannelProblem(str(error)) from error


def trust_of(options: ChannelConfig) -> TrustStore | None:
    """The roots that the server must lead to; None for those of this machine. Raises KeyProblem."""
    return None if options.roots is None else TrustStore.from_files([options.roots])
