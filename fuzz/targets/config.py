# SPDX-License-Identifier: EUPL-1.2

"""A configuration file: it is read, or every fault of it is told."""

import atexit
import shutil
import tempfile
from pathlib import Path

from adapter.config import ConfigProblem, load_config

_FILE = Path(tempfile.mkdtemp(prefix="stam-fuzz-")) / "adapter.toml"
atexit.register(shutil.rmtree, _FILE.parent)


def one_input(data: bytes) -> None:
    """Read it from a file, as the daemon does."""
    _FILE.write_bytes(data)
    try:
        load_config(_FILE, {})
    except ConfigProblem as problem:
        assert problem.problems
        assert all(problem.problems)
