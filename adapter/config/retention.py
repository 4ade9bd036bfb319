# SPDX-License-Identifier: EUPL-1.2

"""How long is kept what came to its end."""

from datetime import timedelta

from adapter.config.values import (
    Duration,
    Section,
)


class RetentionConfig(Section):
    """``[retention]`` and ``[authorities.<name>.retention]``: how long is kept what came to its end."""

    payloads: Duration = timedelta(days=30)
    messages: Duration = timedelta(days=400)
    timeline: Duration = timedelta(days=400)


class StoreRetentionConfig(RetentionConfig):
    """``[retention]``, which also has what is not of one authority."""

    audit: Duration = timedelta(days=400)
