# SPDX-License-Identifier: EUPL-1.2

"""The command line on a terminal: a process whose three streams are a real pseudo-terminal, of a size."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

SECONDS = 60.0


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "adapter", *map(str, words)]


def on_terminal(
    words: list[str], *, columns: int = 100, typed: bytes = b"", stdout: Path | None = None, **environ: str
) -> tuple[int, str]:
    """Run a program on a terminal; return its exit code and what the terminal showed, with every escape sequence.

    What is `typed` waits before the program reads it. With `stdout`, that stream goes into a file instead.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    os.write(ours, typed)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    into = stdout.open("wb") if stdout is not None else None
    process = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=into if into is not None else theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **environ},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = _read(ours)
        return process.wait(SECONDS), shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        if into is not None:
            into.close()


def _read(ours: int) -> bytes:
    """All that is shown until the other side is closed."""
    shown = b""
    while True:
        ready, _, _ = select.select([ours], [], [], SECONDS)
        assert ready, shown
        try:
            some = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody has the other side any more
            return shown
        if not some:
            return shown
        shown += some
