# SPDX-License-Identifier: EUPL-1.2

"""Types of sinks from other packages: what is taken, and what is told of those that cannot be used."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapter.delivery import InstalledType, SinkProblem, installed, installed_types, make_sink
from adapter.delivery.testing import make_context

Install = Callable[..., None]

GOOD = """
from adapter.delivery import SinkOptions, SinkType

class Options(SinkOptions):
    pass

class Sink:
    async def deliver(self, handover, checkpoint): ...
    async def probe(self): ...
    async def close(self): ...

MADE = SinkType("{name}", Options, lambda options, context: Sink())
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package in its place, as pip does: a module, and beside it what it says of itself."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def place(package: str, entry: str, module: str = GOOD, target: str = "MADE") -> None:
        code = package.replace("-", "_")
        (tmp_path / f"{code}.py").write_text(module.replace("{name}", entry))
        about = tmp_path / f"{code}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[stam_adapter.sinks]\n{entry} = {code}:{target}\n")

    yield place
    for name in set(sys.modules) - before:
        if name.startswith("stam_sink"):
            del sys.modules[name]


def only(taken: tuple[str, ...] = ()) -> InstalledType:
    (found,) = installed(taken)
    return found


def test_without_packages_there_is_nothing() -> None:
    assert installed_types(()) == ()


def test_a_type_of_a_package_is_one_more(install: Install) -> None:
    install("stam-sink-een", "een")
    install("stam-sink-twee", "twee")
    assert [one.name for one in installed_types(["directory"])] == ["een", "twee"]
    assert [one.problem for one in installed(["directory"])] == [None, None]


@pytest.mark.parametrize(
    ("module", "target", "why"),
    [
        (
            "import er_is_niets\n",
            "MADE",
            "cannot be loaded (ModuleNotFoundError: No module named 'er_is_niets')",
        ),
        ("MADE = 1 / 0\n", "MADE", "cannot be loaded (ZeroDivisionError: division by zero)"),
        ("this is no Python\n", "MADE", "cannot be loaded (SyntaxError"),
        (GOOD, "MADEN", "cannot be loaded (AttributeError"),
        ("MADE = dict()\n", "MADE", "is no SinkType but dict; mend that package"),
        (GOOD.replace("{name}", "anders"), "MADE", "gives the type 'anders'; give both the same name"),
    ],
)
def test_a_package_that_is_broken_is_named_where_its_type_is_asked_for_and_harms_no_other(
    install: Install, tmp_path: Path, module: str, target: str, why: str
) -> None:
    install("stam-sink-stuk", "stuk", module, target)
    install("stam-sink-heel", "heel")
    types = installed_types(["directory"])
    make_sink(types, "archief", {"type": "heel"}, make_context(tmp_path))
    with pytest.raises(SinkProblem) as problem:
        make_sink(types, "archief", {"type": "stuk", "any": "key"}, make_context(tmp_path))
    assert str(problem.value).startswith("archief: entry point 'stuk' of stam-sink-stuk ")
    assert why in str(problem.value)


def test_the_name_of_a_type_of_the_adapter_is_not_taken_over(install: Install) -> None:
    install("stam-sink-dief", "directory")
    assert installed_types(["directory"]) == ()
    assert only(("directory",)).problem == (
        "entry point 'directory' of stam-sink-dief has the name of a type that the adapter has itself, which is used"
    )


def test_of_two_packages_with_one_name_neither_is_taken(install: Install, tmp_path: Path) -> None:
    install("stam-sink-een", "dubbel")
    install("stam-sink-twee", "dubbel")
    assert only().problem == (
        "stam-sink-een and stam-sink-twee both have an entry point 'dubbel'; remove one of them"
    )
    with pytest.raises(SinkProblem, match="stam-sink-een and stam-sink-twee both have"):
        make_sink(installed_types(()), "archief", {"type": "dubbel"}, make_context(tmp_path))
