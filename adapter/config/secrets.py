# SPDX-License-Identifier: EUPL-1.2

"""Secrets that stand in files of their own, so that the configuration can be shown to anybody."""

from pathlib import Path


def read_secret(path: Path) -> str:
    """Return what stands in a file, without white space around it.

    Raises:
        ValueError: it cannot be read, is empty, or is more than one line of printable text; with the fix.

    """
    try:
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); check the path and its rights"
        ) from error
    except UnicodeDecodeError:
        # without the cause, which would repeat what stands there
        raise ValueError(f"{path} is no text; write the secret into it, and nothing else") from None
    if not text:
        raise ValueError(f"{path} is empty; write the secret into it")
    if not text.isprintable():
        raise ValueError(f"{path} has more than one line; write the secret into it, and nothing else")
    return text
