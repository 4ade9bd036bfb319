# SPDX-License-Identifier: EUPL-1.2

"""What all tests share."""

from pathlib import Path

import pytest

from adapter.pki import throwaway
from adapter.store import migrating
from tests.keys import UsedKeys
from tests.migrated import by_statements
from tests.postgresql import postgres_url, postgresql
from tests.road import impatient, road
from tests.s3 import bucket, s3_server

__all__ = ["bucket", "impatient", "postgres_url", "postgresql", "road", "s3_server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that several processes end at the same time; files are not told apart otherwise."""
    items.sort(
        key=lambda item: next((place for place, part in enumerate(LONG) if part in item.nodeid), len(LONG))
    )


LONG = (
    "test_store_previous_release",
    "test_faults_sinks",
    "test_browser_pages",
    "test_daemon_many",
    "tests/e2e/",
    "tests/faults/",
    "tests/daemon/",
    "tests/chaos/",
    "tests/store/",
)
"""Parts of the names of tests that take long, the longest first."""


_keys = UsedKeys(throwaway._new_key)
throwaway._new_key = _keys  # type: ignore[assignment]
migrating.upgrade = by_statements


def pytest_configure(config: pytest.Config) -> None:
    """Keys are used again; this file itself is not asked about fixtures of the session."""
    config.pluginmanager.register(_keys)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory with the schemas beside the repository; a test that judges by them skips without it."""
    found = Path(__file__).resolve().parents[2] / "shared"
    if not (found / "xsd").is_dir():
        pytest.skip("the schemas stand beside the repository only where it is developed")
    return found
