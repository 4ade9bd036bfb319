# SPDX-License-Identifier: EUPL-1.2

"""The directory with the evidence: a page per authority, environment and step, and an index.

What was once shown stays: a page of a step that was done goes to the directory `earlier` before another takes its
place. A page appears whole or not at all.
"""

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from adapter.connecting.evidence import Evidence, Step, Subject
from adapter.connecting.page import Listed, read_page, render, render_index
from adapter.rendering import Language

INDEX: Final = "index.html"
EARLIER: Final = "earlier"


class FolderProblem(Exception):
    """The directory of the evidence cannot be used; the text says why, and the fix."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The evidence in one directory, as it is written in one language."""

    directory: Path
    language: Language = Language.NL

    def prepare(self) -> None:
        """Make the directory, and prove that it can be written, before anything is done that is to be shown.

        Raises:
            FolderProblem: it cannot be.

        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            proof = self.directory / f".{os.getpid()}.proof"
            proof.touch()
            proof.unlink()
        except OSError as error:
            raise _problem(self.directory, error) from error

    def path(self, step: Step, environment: str, authority: str) -> Path:
        """Where the page of a step is."""
        return self.directory / f"{authority}-{environment}-{step.number}-{step}.html"

    def read(self, step: Step, environment: str, authority: str) -> Evidence | None:
        """The evidence of a step; None where there is none that can be read."""
        found = self._read(self.path(step, environment, authority))
        return found if found is not None and found.step is step else None

    def write(self, evidence: Evidence) -> Path:
        """Write the page of a step, and the index; return where the page is.

        Raises:
            FolderProblem: it cannot be written.

        """
        subject = evidence.subject
        path = self.path(evidence.step, subject.environment, subject.authority)
        try:
            self._keep(path, evidence)
            _replace(path, render(replace(evidence, language=self.language)))
        except OSError as error:
            raise _problem(path, error) from error
        return path

    def translate(self, evidence: Evidence) -> None:
        """Write a page again where it is in another language."""
        if evidence.language is not self.language:
            self.write(evidence)

    def write_index(self, now: datetime) -> Path:
        """Write the index of every page in the directory.

        Raises:
            FolderProblem: it cannot be written, or a page not read.

        """
        groups: dict[tuple[str, str], list[tuple[str, Evidence]]] = {}
        path = self.directory / INDEX
        try:
            for page in sorted(self.directory.glob("*-*-*.html")):
                evidence = self._read(page)
                if evidence is not None and page == self._place(evidence):
                    subject = evidence.subject
                    key = (subject.authority, subject.environment)
                    groups.setdefault(key, []).append((page.name, evidence))
            listed = [Listed(_newest(found), found) for _, found in sorted(groups.items())]
            _replace(path, render_index(listed, self.language, now))
        except OSError as error:
            raise _problem(path, error) from error
        return path

    def _place(self, evidence: Evidence) -> Path:
        return self.path(evidence.step, evidence.subject.environment, evidence.subject.authority)

    def _read(self, path: Path) -> Evidence | None:
        try:
            return read_page(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _problem(path, error) from error

    def _keep(self, path: Path, new: Evidence) -> None:
        """Put a page aside that shows something else than the one to come, or that somebody changed."""
        if not path.exists():
            return
        before = self._read(path)
        if before is not None and (not before.is_done or before.result == new.result):
            return
        moment = before.ended if before is not None else new.ended
        earlier = path.parent / EARLIER
        earlier.mkdir(exist_ok=True)
        path.rename(earlier / f"{path.stem}-{moment:%Y%m%dT%H%M%S%fZ}.html")


def _newest(found: list[tuple[str, Evidence]]) -> Subject:
    return max((evidence for _, evidence in found), key=lambda one: one.ended).subject


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file, by one rename."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _problem(path: Path, error: OSError) -> FolderProblem:
    return FolderProblem(
        f"{path} cannot be used ({error.strerror}); correct its rights, or choose another directory with --evidence"
    )
