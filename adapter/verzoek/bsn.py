# SPDX-License-Identifier: EUPL-1.2

"""Burgerservicenummers made unusable, for whoever looks at a verzoekbericht without needing them."""

from collections.abc import Set
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final

from adapter.verzoek.people import NatuurlijkPersoon
from adapter.verzoek.verzoekbericht import Verzoekbericht

_LENGTH: Final = 9
_SHOWN: Final = 3


def without_bsn(bericht: Verzoekbericht) -> Verzoekbericht:
    """The same verzoekbericht with every burgerservicenummer masked except for its last three digits.

    That of a person is masked where it stands, and wherever else it was written: in an answer, or in the name of a
    file.
    """
    people = (bericht.initiatiefnemer, bericht.gemachtigde)
    persons = [each.natuurlijk_persoon for each in people if each is not None]
    answers = [each.burgerservicenummer for each in persons if each is not None]
    numbers = {each.text for each in answers if each is not None and len(each.text) == _LENGTH}
    masked: Verzoekbericht = _masked(bericht, numbers)
    return masked


def mask(number: str) -> str:
    """A burgerservicenummer that can be told from another one, and not be used."""
    shown = number[-_SHOWN:] if len(number) > 2 * _SHOWN else ""
    return shown.rjust(len(number), "*")


def _masked(value: Any, numbers: Set[str]) -> Any:
    match value:
        case Enum():
            return value
        case str():
            for number in numbers:
                value = value.replace(number, mask(number))
            return value
        case tuple():
            return tuple(_masked(each, numbers) for each in value)
        case NatuurlijkPersoon(burgerservicenummer=bsn) if bsn is not None and bsn.text not in numbers:
            hidden = replace(value, burgerservicenummer=replace(bsn, text=mask(bsn.text)))
            return _masked_fields(hidden, numbers)
    return _masked_fields(value, numbers) if is_dataclass(value) else value


def _masked_fields(model: Any, numbers: Set[str]) -> Any:
    return replace(
        model, **{each.name: _masked(getattr(model, each.name), numbers) for each in fields(model)}
    )
