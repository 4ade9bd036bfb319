# SPDX-License-Identifier: EUPL-1.2

from pathlib import Path

import pytest

from adapter.delivery import Handover
from tests.sinks.handovers import MemoryCheckpoint, make_file, make_handover


@pytest.fixture
def handover() -> Handover:
    return make_handover(
        make_file("verzoek.xml", b"<verzoek/>"),
        make_file("verzoek.pdf", b"%PDF-" + b"x" * 100),
        make_file("bijlagen/tekening.pdf", b"tekening" * 20),
        make_file("bijlagen/leeg.txt", b""),
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "verzoeken"
    place.mkdir()
    return place


@pytest.fixture
def checkpoint() -> MemoryCheckpoint:
    return MemoryCheckpoint()
