# SPDX-License-Identifier: EUPL-1.2

"""docs/install.md is whole: each command is tried by `make install-test`, or says why not."""

from pathlib import Path

from tests.install.page import PAGE, blocks, steps

ROOT = PAGE.parents[1]


def test_each_block_of_commands_is_a_step_or_says_why_it_is_not_tried() -> None:
    assert len(blocks()) > 10
    for mark, commands in blocks():
        assert mark.startswith(("step: ", "on a running system: ")), commands
    assert len(steps()) == sum(mark.startswith("step: ") for mark, _ in blocks())


def test_what_the_page_takes_from_the_program_is_in_the_wheel() -> None:
    named = {
        word.removeprefix("/opt/stam-adapter/share/stam-adapter/")
        for _, commands in blocks()
        for word in commands.split()
        if word.startswith("/opt/stam-adapter/share/stam-adapter/")
    }
    assert named
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for one in named:
        assert (ROOT / one).is_file(), one
        assert f'"share/stam-adapter/{Path(one).parent}"' in project, one


def test_the_page_is_linked() -> None:
    assert "(docs/install.md)" in (ROOT / "README.md").read_text("utf-8")
