# SPDX-License-Identifier: EUPL-1.2

"""The door of a listener: so many connections at a time, and whoever comes after that is turned away at once.

A connection costs memory and a file descriptor from the moment it is accepted, before anybody is identified. asyncio
counts none of this, and a protocol is not told of a TLS handshake that failed; so it is counted where a connection
begins and ends, at its socket.
"""

import asyncio
import socket
from typing import Any, Final

from prometheus_client import Counter, Gauge

from adapter.config import Listen
from adapter.daemon.guests import GuestList
from adapter.observe import get_logger

log = get_logger(__name__)

BACKLOG: Final = 128
"""Connections that the kernel keeps until they are accepted."""


class Doorkeeper:
    """Counts who is inside, over all doors of a listener; used from the event loop only."""

    def __init__(self, limit: int, inside: Gauge, turned_away: Counter) -> None:
        self.inside = 0
        self._limit = limit
        self._gauge = inside
        self._turned_away = turned_away
        self._full = False

    def enter(self, address: object) -> bool:
        """Whether there is room for one more, who is then inside."""
        if self.inside < self._limit:
            self._change(1)
            return True
        self._turned_away.inc()
        if not self._full:  # one line for as long as it is full: a flood must not fill the log too
            self._full = True
            log.warning(
                "connections are turned away: limits.connections is reached",
                action="connections.full",
                connections=self.inside,
                address=str(address),
            )
        return False

    def leave(self) -> None:
        """One that was inside is gone."""
        self._change(-1)
        if self._full and self.inside <= self._limit * 3 // 4:
            self._full = False
            log.info("connections are taken again", action="connections.taken", connections=self.inside)

    def _change(self, by: int) -> None:
        self.inside += by
        self._gauge.set(self.inside)


class Door(socket.socket):
    """A listening socket; the connections it accepts tell the keeper when they are closed."""

    def __init__(self, listening: socket.socket, keeper: Doorkeeper, guests: GuestList | None = None) -> None:
        super().__init__(fileno=listening.detach())
        self._keeper = keeper
        self._guests = guests

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection that there is room for; BlockingIOError where none waits."""
        while True:
            connection, address = super().accept()
            if (self._guests is None or self._guests.has(address[0])) and self._keeper.enter(address):
                return _Guest(connection, self._keeper), address
            connection.close()


class _Guest(socket.socket):
    def __init__(self, connection: socket.socket, keeper: Doorkeeper) -> None:
        super().__init__(fileno=connection.detach())
        self._keeper = keeper

    def close(self) -> None:
        if self.fileno() != -1:
            self._keeper.leave()
        super().close()


async def open_doors(listen: Listen, keeper: Doorkeeper, guests: GuestList | None = None) -> list[Door]:
    """A door for each address that a host stands for. Raises OSError where one is taken or not of this machine."""
    found = await asyncio.get_running_loop().getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    doors: list[Door] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            made = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            doors.append(Door(made, keeper, guests))
    except OSError:
        for door in doors:
            door.close()
        raise
    return doors
