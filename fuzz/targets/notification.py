# SPDX-License-Identifier: EUPL-1.2

"""The payload of a notification."""

from adapter.verzoek import NotificationProblem, NotificationRules, announced_volgnummer, read_notification

_BY_PATH = NotificationRules(
    verzoeknummer=("verzoek/verzoeknummer", "verzoeknummer"),
    volgnummer=("verzoek/volgnummer",),
    doel=("doel",),
    type=("verzoek/type",),
)


def one_input(data: bytes) -> None:
    """Read it by name and by path."""
    for rules in (NotificationRules(), _BY_PATH):
        try:
            read = read_notification(data, rules)
        except NotificationProblem as problem:
            assert problem.reason
            assert announced_volgnummer(data, rules) is None
        else:
            assert read.verzoeknummer
            assert read.verzoeknummer.isprintable()
