# SPDX-License-Identifier: EUPL-1.2

"""What the commands about one verzoek have in common: its number, and what to say where there is none."""

from typing import Annotated, NoReturn

import typer

from adapter.cli.names import verzoeknummers
from adapter.cli.output import (
    fail,
)

NumberArgument = Annotated[
    str, typer.Argument(help="The verzoeknummer.", metavar="NUMMER", autocompletion=verzoeknummers)
]


def no_such_verzoek(verzoeknummer: str, authority: str | None) -> NoReturn:
    """End the command: there is no such verzoek; with where to look for it."""
    of = f" of authority {authority!r}" if authority is not None else ""
    fail(
        f"there is no verzoek {verzoeknummer!r}{of}; see `stam-adapter verzoek list`, look for its notification with "
        f"`stam-adapter message list --conversation-id {verzoeknummer}`, or collect it with "
        f"`stam-adapter verzoek fetch {verzoeknummer} --authority {authority or 'NAME'}`"
    )
