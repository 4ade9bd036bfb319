# SPDX-License-Identifier: EUPL-1.2

"""What the commands about one message have in common: its MessageId, and what to say where there is none."""

from typing import Annotated, NoReturn

import typer

from adapter.cli.names import message_ids
from adapter.cli.output import fail

MessageIdArgument = Annotated[
    str,
    typer.Argument(
        help="The MessageId, without angle brackets.", metavar="MESSAGE_ID", autocompletion=message_ids
    ),
]


def bare(message_id: str) -> str:
    """A MessageId as the store has it: people copy it with its angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")


def no_such_message(message_id: str) -> NoReturn:
    """End the command: there is no such message; with where to look for it."""
    fail(
        f"there is no message {message_id!r}; look for it with `stam-adapter message list --limit 200`, or by its "
        "conversation with `stam-adapter message list --conversation-id ID`; a verzoeknummer goes to "
        "`stam-adapter verzoek show`"
    )
