# SPDX-License-Identifier: EUPL-1.2

"""The lock that keeps a second daemon from the same state directory."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from adapter.store.problems import StoreLocked, StoreProblem

_NAME = "daemon.lock"
_ATTEMPTS = 10
_PAUSE = 0.05


class DaemonLock:
    """A lock on `<state>/daemon.lock`, held until it is released or the process ends, however it ends."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    @classmethod
    def take(cls, state: Path) -> Self:
        """Take the lock.

        Raises:
            StoreLocked: another process holds it.

        """
        path = state / _NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(descriptor):
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreLocked(
                f"{state} is in use by another daemon (process {holder}); stop that one, "
                "or give this one another `state` directory"
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Let the lock go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def daemon_is_running(state: Path) -> bool:
    """Whether a daemon has this state directory now.

    Raises:
        StoreProblem: the directory cannot be looked into.

    """
    try:
        descriptor = os.open(state / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreProblem(
            f"{state} cannot be looked into: {error.strerror}; run this as the user of the daemon"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> bool:
    # More than one attempt: `daemon_is_running` of another process holds a shared lock for an instant.
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False
