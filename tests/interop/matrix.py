# SPDX-License-Identifier: EUPL-1.2

"""What the adapter and the reference adapter do together, as data: every combination, run or left out by a rule.

The tests run what is here, and the table in docs/interop.md is made of it: `python -m tests.interop.matrix` writes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Final

from cpa import Profile, SyncReplyMode

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
BEGIN, END = "<!-- the matrix begins -->", "<!-- the matrix ends -->"


class Way(StrEnum):
    """Who sends the message or request."""

    IN = "in"
    OUT = "out"


class Kind(StrEnum):
    """What is exchanged."""

    PING = "ping"
    MESSAGE = "message"
    DUPLICATE = "duplicate"
    STATUS = "status"
    ERROR = "error"


KINDS: Final = {
    Kind.PING: "a Ping, answered with a Pong",
    Kind.MESSAGE: "a message with one payload, which arrives octet for octet, is acknowledged where the profile is "
    "reliable, and ends in the right state on both sides",
    Kind.DUPLICATE: "the first attempt arrives and its Acknowledgment is lost: the sender repeats the message, the "
    "receiver takes it once and acknowledges again",
    Kind.STATUS: "a StatusRequest about a message that arrived, answered with a StatusResponse",
    Kind.ERROR: "a message with an action that the receiver does not know: refused with a MessageError "
    "(ValueNotRecognized), which the sender connects with its message",
}
"""What happens in each kind."""

REPLIES: Final = (SyncReplyMode.NONE, SyncReplyMode.MSH_SIGNALS_ONLY)


@dataclass(frozen=True)
class Combination:
    """One cell of the matrix."""

    profile: Profile
    reply: SyncReplyMode
    way: Way
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.profile}-{self.reply}-{self.way}-{self.kind}"

    @property
    def authority(self) -> str:
        """The authority whose agreement is of this profile and reply mode."""
        return authority_of(self.profile, self.reply)

    @property
    def synchronous(self) -> bool:
        return self.reply is SyncReplyMode.MSH_SIGNALS_ONLY

    @property
    def left_out_by(self) -> "Rule | None":
        """The rule that makes this combination illegal or impossible; None where it is run."""
        return next((rule for rule in RULES if rule.holds_for(self)), None)


@dataclass(frozen=True)
class Rule:
    """Why combinations are left out."""

    number: str
    text: str
    holds_for: Callable[[Combination], bool]


RULES: Final = (
    Rule(
        "SYN-02",
        "illegal: SyncReply does not exist in best effort, `mshSignalsOnly` is for the reliable profiles only (KV ch03 "
        "and ch05). `write_cpa` writes no such CPA, and a message with SyncReply is answered with `Inconsistent`.",
        lambda one: one.synchronous and not one.profile.reliable,
    ),
    Rule(
        "REL-03",
        "impossible: in best effort a message is sent once, whatever becomes of it, and the receiver does not look for "
        "duplicates (KV ch03 and ch05), nor is there an Acknowledgment to be lost (ACK-03). What comes twice is "
        "delivered twice.",
        lambda one: one.kind is Kind.DUPLICATE and not one.profile.reliable,
    ),
)
"""The first that holds is the reason."""


def authority_of(profile: Profile, reply: SyncReplyMode = SyncReplyMode.NONE) -> str:
    """The name of the authority with an agreement of this profile and reply mode."""
    short = profile.removeprefix("osb-").replace("-", "")
    return f"{short}sync" if reply is SyncReplyMode.MSH_SIGNALS_ONLY else short


MATRIX: Final = tuple(Combination(*one) for one in product(Profile, REPLIES, Way, Kind))
RUN: Final = tuple(one for one in MATRIX if one.left_out_by is None)


# --- the table


def table() -> str:
    """The matrix as Markdown: a row per agreement, a column per kind and direction."""
    head = [f"{kind}, {way}" for way in Way for kind in Kind]
    rows = [_row("profile", "reply mode", *head), _row(*["---"] * (2 + len(head)))]
    for profile, reply in product(Profile, REPLIES):
        cells = (_cell(Combination(profile, reply, way, kind)) for way in Way for kind in Kind)
        rows.append(_row(f"`{profile}`", f"`{reply}`", *cells))
    return "\n".join([*rows, "", *_legend()])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(one: Combination) -> str:
    rule = one.left_out_by
    return "runs" if rule is None else rule.number


def _legend() -> Iterator[str]:
    yield (
        f"{len(MATRIX)} combinations, of which {len(RUN)} run. *in*: the peer sends, we receive; *out*: we send, the "
        "peer receives."
    )
    yield ""
    yield from (f"- **{kind}**: {text}." for kind, text in KINDS.items())
    yield ""
    yield "Left out:"
    yield ""
    for rule in RULES:
        count = sum(one.left_out_by is rule for one in MATRIX)
        yield f"- **{rule.number}** ({count}) {rule.text}"


def written(document: str) -> str:
    """A document with the table of now between its marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
