# SPDX-License-Identifier: EUPL-1.2

"""systemd: telling it how the service is (sd_notify), and taking over the sockets that it listens on (LISTEN_FDS).

Both protocols are a few lines of text in the environment and a datagram; see sd_notify(3) and sd_listen_fds(3).
"""

import os
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from adapter.config import ConfigProblem
from adapter.observe import get_logger

log = get_logger(__name__)

_FIRST: Final = 3
"""The first descriptor that is passed (SD_LISTEN_FDS_START)."""

_PATIENCE: Final = 1.0
_LONGEST_STATUS: Final = 500


@dataclass(slots=True)
class ServiceManager:
    """The service manager that started this process; where there is none, nothing is told to anybody.

    `watchdog` is how often it wants to hear that all is well, None for never.
    """

    address: str | None = None
    watchdog: timedelta | None = None
    _failed: bool = field(default=False, init=False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """Take over what the environment says, so that no process started from here tells it too."""
        address = environ.pop("NOTIFY_SOCKET", None)
        micros, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", None)
        wanted = micros.isdecimal() and int(micros) > 0 and pid in {None, str(os.getpid())}
        return cls(address or None, timedelta(microseconds=int(micros)) if wanted else None)

    def send(self, *lines: str) -> None:
        """Tell it something, as `READY=1`; that it cannot be told is said in the log, once. From any thread."""
        if self.address is None:
            return
        # one that begins with @ has no file (abstract)
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
                notify.settimeout(_PATIENCE)
                notify.connect(name)
                notify.sendall("\n".join(lines).encode())
        except OSError as error:
            if not self._failed:
                log.warning(
                    "the service manager cannot be told how the daemon is",
                    action="systemd.not_told",
                    address=self.address,
                    reason=error.strerror or str(error),
                )
            self._failed = True
        else:
            self._failed = False

    def ready(self, status: str) -> None:
        """The start, or a reload, is done."""
        self.send("READY=1", _status(status))

    def status(self, text: str) -> None:
        """One line for people, shown by `systemctl status`."""
        self.send(_status(text))

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", _status("reloading"))

    def stopping(self) -> None:
        """The end begins."""
        self.send("STOPPING=1", _status("stopping: work in progress may end"))

    def extend(self, by: timedelta) -> None:
        """The start takes so much longer from now on."""
        self.send(f"EXTEND_TIMEOUT_USEC={by // timedelta(microseconds=1)}")


def _status(text: str) -> str:
    line = " ".join(text.split())
    return f"STATUS={line[:_LONGEST_STATUS]}"


def inherited_sockets(
    environ: MutableMapping[str, str], known: frozenset[str]
) -> dict[str, list[socket.socket]]:
    """The listening sockets that this process was started with, by the `FileDescriptorName=` of their unit.

    Raises ConfigProblem for one that has none of the `known` names, or is no listening TCP socket.
    """
    number, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not number.isdecimal():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for offset in range(int(number)):
        os.set_inheritable(_FIRST + offset, False)
        name = names[offset] if offset < len(names) else ""
        one = socket.socket(fileno=_FIRST + offset)
        if name not in known:
            raise ConfigProblem(
                [
                    f"socket activation: a socket is called {name!r}; write FileDescriptorName= with "
                    f"{' or '.join(sorted(known))} into its unit"
                ]
            )
        if (
            one.type != socket.SOCK_STREAM
            or one.family not in {socket.AF_INET, socket.AF_INET6}
            or not _listens(one)
        ):
            raise ConfigProblem(
                [
                    f"socket activation: {name} is no listening TCP socket; write ListenStream=8443, and no Accept="
                ]
            )
        one.setblocking(False)
        found.setdefault(name, []).append(one)
    return found


def _listens(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
