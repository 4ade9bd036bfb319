# SPDX-License-Identifier: EUPL-1.2

"""How a delivery lies in a directory or a bucket: its files, and `manifest.json` beside them."""

import json
from typing import Final

from adapter.delivery import Handover, is_same_delivery

MANIFEST: Final = "manifest.json"


def unsafe_reason(handover: Handover) -> str | None:
    """Why the names of a handover cannot be used; None when they can. They were made safe before: this is the
    last door.
    """
    if not _is_plain(handover.key):
        return f"{handover.key!r} cannot be the name of a directory"
    seen = {MANIFEST}
    for file in handover.files:
        if not all(_is_plain(part) for part in file.path.split("/")):
            return f"{file.path!r} cannot be the path of a file"
        if file.path.casefold() in seen:
            return f"{file.path!r} is the path of two files"
        seen.add(file.path.casefold())
    return None


def is_manifest_of(content: bytes, handover: Handover) -> bool:
    """Whether what was found as a manifest is that of this delivery."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return is_same_delivery(found, handover.manifest)


def _is_plain(name: str) -> bool:
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name
