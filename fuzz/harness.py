# SPDX-License-Identifier: EUPL-1.2

"""Runs one target under libFuzzer: `python -m fuzz.harness <target> [options of libFuzzer] corpus…`.

A target that raises is a finding, and so is one that takes more than a second of the processor. That is counted here,
and not left to libFuzzer, which goes by the clock on the wall: on a busy machine that finds fault with nothing. What
never ends, and what fills the memory, libFuzzer ends.
"""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Final

import atheris

from fuzz.targets import MARKUP, TARGETS

LONGEST: Final = 1.0
"""Seconds of the processor that one input may take, instrumented as it is."""


Mutate = Callable[[bytes, int, int], bytes | None]


class TooSlow(Exception):
    """An input took longer than LONGEST."""


def main() -> None:
    """Fuzz the target that is named first; libFuzzer ends the process."""
    name = sys.argv.pop(1)
    if name not in TARGETS:
        sys.exit(f"there is no target {name}; there are {', '.join(TARGETS)}")
    with atheris.instrument_imports(include=["adapter", "cpa", "signxml"]):
        target = import_module(f"fuzz.targets.{name}")
        markup = import_module("fuzz.markup")  # it reads XML by what is to be instrumented
    more = {"custom_mutator": _mutator(markup.mutate)} if name in MARKUP else {}
    atheris.Setup(sys.argv, _timed(target.one_input), **more)
    atheris.Fuzz()


def _timed(one_input: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def timed(data: bytes) -> None:
        started = time.process_time()
        one_input(data)
        taken = time.process_time() - started
        if taken > LONGEST:
            raise TooSlow(f"{taken:.1f} s for {len(data)} octets")

    return timed


def _mutator(mutate: Mutate) -> Callable[[bytes, int, int], bytes]:
    """Changes a tree, or octets where that does not work and every third time."""

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        changed = mutate(data, max_size, seed) if seed % 3 else None
        return changed if changed is not None else bytes(atheris.Mutate(data, max_size))

    return change


if __name__ == "__main__":
    main()
