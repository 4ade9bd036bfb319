# SPDX-License-Identifier: EUPL-1.2

"""Whether people could be told: the channels of [notifications], connected with and nothing sent."""

import asyncio

from adapter.cli.check_line import Line, failed, ok, warning, wrong
from adapter.config import Config
from adapter.notify import ChannelProblem, make_channel
from adapter.pki import KeyProblem
from adapter.work import utc_now


async def check_notifications(config: Config) -> list[Line]:
    """One line for each channel; and one where links would lead nowhere."""
    found = await asyncio.gather(*(_check(config, name) for name in config.notifications))
    if found and config.admin.url is None:
        found.append(
            warning(
                "notifications",
                "links",
                "notifications have no links; set [admin] url to where people reach the status page",
            )
        )
    return found


async def _check(config: Config, name: str) -> Line:
    try:
        channel = await asyncio.to_thread(make_channel, config, name, config.notifications[name], utc_now)
    except (KeyProblem, ChannelProblem) as problem:
        return wrong("notifications", name, str(problem))
    try:
        return ok("notifications", name, await channel.probe())
    except ChannelProblem as problem:
        return failed("notifications", name, str(problem))
    finally:
        await channel.close()
