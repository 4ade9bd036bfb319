# SPDX-License-Identifier: EUPL-1.2

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Cli = Callable[..., Result]


def test_an_unknown_fault_lists_all_and_makes_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "simulate", "--directory", tmp_path / "world", "--fault", "unavailable=3", "--fault", "onzin"
    )
    assert result.exit_code == 2
    assert "'onzin' is no fault; known are" in result.stderr
    assert "wrong_digest" in result.stderr
    assert not (tmp_path / "world").exists()
