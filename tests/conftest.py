"""What all tests share."""

from pathlib import Path

import pytest

from tests.postgresql import postgres_url, postgresql
from tests.road import impatient, road
from tests.s3 import bucket, s3_server

__all__ = ["bucket", "impatient", "postgres_url", "postgresql", "road", "s3_server"]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory with the schemas beside the repository; a test that judges by them skips without it."""
    found = Path(__file__).resolve().parents[2] / "shared"
    if not (found / "xsd").is_dir():
        pytest.skip("the schemas stand beside the repository only where it is developed")
    return found
