# SPDX-License-Identifier: EUPL-1.2

"""Templates of pages: everything that is shown is escaped, and what is not there is an error, not an empty place."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from adapter.rendering.moments import local, utc
from adapter.rendering.words import counted


@cache
def templates_of(package: str, directory: str = ".") -> Environment:
    """The templates in a directory of a package, with the filters that every page has: `local`, `utc`, `counted`."""
    templates = Environment(
        loader=PackageLoader(package, directory),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["local"] = local
    templates.filters["utc"] = utc
    templates.filters["counted"] = counted
    return templates
