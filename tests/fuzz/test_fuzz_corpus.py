# SPDX-License-Identifier: EUPL-1.2

"""Every input of the corpora is read as the fuzzer reads it, so that a finding that is kept there stays mended."""

from importlib import import_module
from pathlib import Path

import pytest

from fuzz.markup import mutate
from fuzz.seeds import seeds
from fuzz.targets import CORPUS, MARKUP, TARGETS

INPUTS = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_of_the_corpus_is_read(path: Path) -> None:
    import_module(f"fuzz.targets.{path.parent.name}").one_input(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_has_a_corpus_of_all_that_the_project_makes(target: str) -> None:
    assert set(seeds()[target]) <= {path.name for path in INPUTS if path.parent.name == target}


@pytest.mark.parametrize("target", sorted(MARKUP))
def test_markup_is_changed_as_a_tree_and_read(target: str) -> None:
    """What the mutator makes is XML, and something else than it was."""
    one_input = import_module(f"fuzz.targets.{target}").one_input
    made = sorted(seeds()[target].items()) * 5
    changed = {mutate(octets, 2**20, seed) for seed, (_, octets) in enumerate(made)}
    assert None not in changed
    assert len(changed) > len(made) // 2
    for octets in changed:
        one_input(octets)


def test_octets_that_are_no_markup_are_left_to_the_fuzzer() -> None:
    assert mutate(b"no markup", 100, 1) is None
    assert mutate(b"<a><b/></a>", 3, 1) is None
