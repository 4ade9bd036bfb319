# SPDX-License-Identifier: EUPL-1.2

"""The application API while payloads cannot be kept in their object store."""

from pathlib import Path

import pytest

from adapter.config import Config
from tests.admin.house import Api
from tests.admin.test_admin_rest_multipart import MEBI, form
from tests.road import Road, Way
from tests.s3 import Bucket


@pytest.fixture
def config(config: Config, bucket: Bucket, road: Road, impatient: None, tmp_path: Path) -> Config:
    return config.model_copy(update={"store": bucket.config(tmp_path, road.url).store})


async def test_a_message_is_taken_when_the_object_store_is_back(api: Api, bucket: Bucket, road: Road) -> None:
    large = bytes(MEBI)
    road.way = Way.CUT
    response = await api.call("POST", "/ebms/messages/mtom", data=form(api, large))
    assert (response.status, await response.text()) == (503, "service unavailable")
    road.way = Way.OPEN
    assert (await api.call("POST", "/ebms/messages/mtom", data=form(api, large))).status == 200
    assert len(bucket.objects()) == 1
