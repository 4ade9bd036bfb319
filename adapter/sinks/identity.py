# SPDX-License-Identifier: EUPL-1.2

"""What a delivery is called at the other side: the same in every attempt, and unlike any other delivery's name."""

import hashlib
from typing import Final
from urllib.parse import quote
from uuid import UUID

from adapter.delivery import Handover

# printable ASCII that means nothing in a quoted string, nor to `quote` itself
_PLAIN: Final = "!#$&'()*+,-.:;<=>?@[]^_`{|}~"


def qualified_key(handover: Handover) -> str:
    """`<authority>/<sink>/<key>` in printable ASCII without quotes and backslashes, the rest percent-encoded."""
    return "/".join(quote(part, safe=_PLAIN) for part in (handover.authority, handover.sink, handover.key))


def stable_uuid(*identity: str) -> UUID:
    """A UUID that is always the same for the same texts, in the form of version 4 (RFC 9562 5.4)."""
    digest = hashlib.sha256("\0".join(identity).encode("utf-8", "surrogatepass")).digest()
    return UUID(bytes=digest[:16], version=4)
