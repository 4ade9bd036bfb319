# SPDX-License-Identifier: EUPL-1.2

"""Evidence as a file: `--evidence FILE.zip` of `message show` and `verzoek show`."""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from adapter.cli.auditing import looked, note
from adapter.cli.output import WRONG_USE, fail, say
from adapter.cli.progress import progress
from adapter.config import Config
from adapter.store import Database, open_spool
from adapter.views.evidence import Evidence, evidence_archive
from adapter.work import utc_now

EvidenceOption = Annotated[
    Path | None,
    typer.Option(
        "--evidence",
        help="Write all that the store has of it to this file, as a ZIP.",
        metavar="FILE.zip",
        dir_okay=False,
    ),
]


async def write_evidence(db: Database, config: Config, evidence: Evidence, path: Path) -> None:
    """Write the archive, readable for this user alone, and say so in the audit trail first.

    It is there as a whole or not at all. Ends the command where there is a file already, or it cannot be written.

    Raises:
        StoreProblem: a content cannot be read now.

    """
    for authority in evidence.authorities:
        await note(db, looked(f"{evidence.kind}.evidence", evidence.name, authority))
    with _made(path) as file, progress(f"writing {path.name}") as course:
        written = 0
        async with aclosing(evidence_archive(db, open_spool(config), evidence, utc_now())) as pieces:
            async for piece in pieces:
                written += file.write(piece)
                course.at(f"writing {path.name}, {written / 1_000_000:,.0f} MB")
    say(f"the evidence of {evidence.kind} {evidence.name} is in {path}")


@contextmanager
def _made(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is complete."""
    if path.exists():
        fail(f"{path} is there already; choose another name", WRONG_USE)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.touch(mode=0o600)
        with unfinished.open("wb") as file:
            yield file
        unfinished.rename(path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}; choose a place with room that you may write to")
    finally:
        unfinished.unlink(missing_ok=True)
