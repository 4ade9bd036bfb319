# SPDX-License-Identifier: EUPL-1.2

"""The channels of a configuration."""

from collections.abc import Callable, Mapping
from datetime import datetime

from adapter.config import ChannelConfig, ChannelType, Config, ConfigProblem, Environment
from adapter.notify.channel import Channel, ChannelProblem, secret_of, trust_of
from adapter.notify.composing import Composer
from adapter.notify.links import Links
from adapter.notify.mail import MailChannel
from adapter.notify.webhook import WebhookChannel
from adapter.pki import KeyProblem, client_context


def make_channels(config: Config, clock: Callable[[], datetime]) -> Mapping[str, Channel]:
    """Every channel by its name. Blocking. Raises ConfigProblem with each that cannot be made, and why."""
    channels: dict[str, Channel] = {}
    problems: list[str] = []
    for name, options in config.notifications.items():
        try:
            channels[name] = make_channel(config, name, options, clock)
        except (KeyProblem, ChannelProblem) as problem:
            problems.append(f"notifications.{name}: {problem}")
    if problems:
        raise ConfigProblem(problems)
    return channels


def make_channel(config: Config, name: str, options: ChannelConfig, clock: Callable[[], datetime]) -> Channel:
    """One channel. Blocking. Raises KeyProblem or ChannelProblem where a file that it names cannot be used."""
    trust = trust_of(options)
    for secret in (options.password_file, options.secret_file, options.url_file):
        if secret is not None:
            secret_of(secret)
    if options.type is ChannelType.EMAIL:
        return MailChannel(name, options, client_context(None, trust))
    plain = config.environment is Environment.TEST
    return WebhookChannel(name, options, trust, config.outgoing, clock, allow_plain=plain)


def composer_of(config: Config, name: str) -> Composer:
    """What writes for a channel."""
    language = config.notifications[name].language
    return Composer(name, config.environment, language, Links(config.admin.url))
