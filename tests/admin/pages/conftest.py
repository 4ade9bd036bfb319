# SPDX-License-Identifier: EUPL-1.2

import pytest

from tests.admin.house import Api
from tests.admin.pages.house import Browser


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api)
