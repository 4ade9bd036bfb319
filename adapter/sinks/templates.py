# SPDX-License-Identifier: EUPL-1.2

"""Templates of JSON: tables of an option with placeholders as {verzoeknummer}, filled from a delivery."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


def placeholders(template: Any) -> Iterator[str]:
    """The names of the placeholders anywhere in a template."""
    if isinstance(template, str):
        yield from _PLACEHOLDER.findall(template)
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from placeholders(value)
    elif isinstance(template, list | tuple):
        for value in template:
            yield from placeholders(value)


def unknown_placeholders(template: Any, known: Collection[str]) -> list[str]:
    """The placeholders that are none, in order."""
    return sorted(set(placeholders(template)) - set(known))


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its placeholders filled.

    A text that is one placeholder becomes its value, whatever its type; in a longer text the value is written out, and
    null is nothing.
    """
    if isinstance(template, str):
        alone = _PLACEHOLDER.fullmatch(template)
        if alone is not None:
            return values[alone[1]]
        return _PLACEHOLDER.sub(lambda found: _text(values[found[1]]), template)
    if isinstance(template, Mapping):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [filled(value, values) for value in template]
    return template


def _text(value: object) -> str:
    return "" if value is None else str(value)
