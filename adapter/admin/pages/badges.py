# SPDX-License-Identifier: EUPL-1.2

"""How a state looks: its tone and its icon; the words for it are in those of all pages, by kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tone(StrEnum):
    """What a state means to an operator."""

    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Look:
    """A tone, and an icon of the macro `icon`: no meaning is in the colour alone."""

    tone: Tone
    icon: str


_DONE: Final = Look(Tone.GOOD, "check")
_BUSY: Final = Look(Tone.BUSY, "clock")
_MOVING: Final = Look(Tone.BUSY, "arrow")
_PAUSED: Final = Look(Tone.WARN, "pause")
_FAILED: Final = Look(Tone.BAD, "cross")
_NEEDED: Final = Look(Tone.BAD, "alert")
_PASSED: Final = Look(Tone.OVER, "dot")
_TRIED: Final = Look(Tone.WARN, "repeat")

LOOKS: Final[Mapping[str, Mapping[str, Look]]] = {
    "delivery": {
        "collecting": _MOVING,
        "ready": _BUSY,
        "delivered": _DONE,
        "parked": _NEEDED,
        "skipped": Look(Tone.OVER, "skip"),
        "repeated": Look(Tone.OVER, "repeat"),
    },
    "message": {
        "received": _MOVING,
        "processed": _DONE,
        "refused": _FAILED,
        "created": _BUSY,
        "sent": _MOVING,
        "delivered": _DONE,
        "failed": _FAILED,
        "expired": _FAILED,
        "transmitted": _DONE,
        "answered": _DONE,
    },
    "job": {"ready": _BUSY, "running": _MOVING, "parked": _NEEDED},
    "agreement": {"active": _DONE, "replaced": _PASSED, "withdrawn": _PASSED},
    "outcome": {"done": _DONE, "refused": _FAILED, "failed": _FAILED},
    "lane": {"open": _DONE, "paused": _PAUSED},
    "health": {"good": _DONE, "busy": _BUSY, "attention": Look(Tone.WARN, "alert"), "bad": _NEEDED},
}
"""By kind and state; every word of `states` in the words of all pages is here, and the reverse: a test holds that."""


def look_of(kind: str, state: str) -> Look:
    """How a state of some kind looks."""
    return LOOKS[kind][state]


_EVENTS: Final[Mapping[str, Look]] = {
    "received": _MOVING,
    "created": _MOVING,
    "referenced": _MOVING,
    "file_fetched": _PASSED,
    "collected": _DONE,
    "delivered": _DONE,
    "kept": _DONE,
    "processed": _DONE,
    "attempted": _MOVING,
    "retried": _TRIED,
    "unparked": _TRIED,
    "hurried": _TRIED,
    "possibly_repeated": _TRIED,
    "duplicate": _PASSED,
    "repeated": _PASSED,
    "skipped": Look(Tone.OVER, "skip"),
    "document_skipped": _TRIED,
    "parked": _NEEDED,
    "conflict": _NEEDED,
    "refused": _NEEDED,
    "failed": _NEEDED,
    "file_lost": _NEEDED,
    "stored": _MOVING,
    "transmitted": _DONE,
    "answered": _DONE,
    "expired": _FAILED,
}


def look_of_event(action: str) -> Look:
    """How a line of the timeline looks, by what happened (`verzoek.parked`); anything else is a dot."""
    return _EVENTS.get(action.partition(".")[2], _PASSED)
