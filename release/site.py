# SPDX-License-Identifier: EUPL-1.2

"""What `mkdocs build` adds to the pages in docs/: the papers of the root, and the files that pages link to.

The documents are written to be read in the repository, where a link may lead to any file. In the site each of these
becomes a page: a paper of the root (README.md is the first one), a file with its text, or a directory with a list of
what is in it. A link to what is not there is left as it is, so that the check of links fails on it.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from markdown import Extension, Markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from release.options import MARK, options_reference

ROOT: Final = Path(__file__).resolve().parents[1]
PAPERS: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "GOVERNANCE.md": "governance.md",
    "SECURITY.md": "reporting-a-vulnerability.md",
}
"""The papers of the root, each with its place in the site."""
_SHOWN: Final = "repository/"
_LINK: Final = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCED: Final = re.compile(r"(?ms)^ *(```+)[^\n]*\n.*?^ *\1 *$")
_LANGUAGES: Final = {".py": "python", ".toml": "toml", ".yml": "yaml", ".conf": "nginx", ".cfg": "ini"}


class _Indents(Extension):  # type: ignore[misc]  # the library has no types
    """Lets what belongs to a point of a list be indented by two or three, as the repository shows it too."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name that the library calls
        """Set the step of indentation."""
        md.tab_length = 2


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Read Markdown as it is read in the repository."""
    config.markdown_extensions.append(_Indents())  # an object does too
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the papers of the root, and whatever the pages link to in the repository."""
    for paper, place in PAPERS.items():
        files.append(File.generated(config, place, content=(ROOT / paper).read_text("utf-8")))
    for source in [_source(file.src_uri) for file in files.documentation_pages()]:
        for target in _linked(source):
            place = _place(target)
            if place.startswith(_SHOWN) and files.get_file_from_path(place) is None:
                files.append(File.generated(config, place, content=_shown(target)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Let links lead to the places that things have in the site, and fill in the options of the configuration."""
    place = page.file.src_uri
    if place.startswith(_SHOWN):
        return markdown

    def moved(link: re.Match[str]) -> str:
        target = _target(_source(place), link[1])
        if target is None:
            return link[0]
        return posixpath.relpath(_place(target), posixpath.dirname(place) or ".") + (link[2] or "")

    parts = _split(markdown)
    written = "".join(part if is_code else _LINK.sub(moved, part) for part, is_code in parts)
    return written.replace(MARK, options_reference(), 1) if MARK in written else written


def _source(place: str) -> str:
    """Where the text of a page of the site stands in the repository."""
    return next((paper for paper, there in PAPERS.items() if there == place), f"docs/{place}")


def _place(target: str) -> str:
    """Where a file or directory of the repository stands in the site."""
    if target in PAPERS:
        return PAPERS[target]
    return target.removeprefix("docs/") if target.startswith("docs/") else f"{_SHOWN}{target}.md"


def _target(source: str, link: str) -> str | None:
    """What a link on a page leads to in the repository; None where that is elsewhere, or not there."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return None if "://" in link or target.startswith("..") or not (ROOT / target).exists() else target


def _linked(source: str) -> Iterator[str]:
    for part, is_code in _split((ROOT / source).read_text("utf-8")):
        for link in [] if is_code else _LINK.finditer(part):
            if (target := _target(source, link[1])) is not None:
                yield target


def _split(markdown: str) -> Iterator[tuple[str, bool]]:
    """The text and its blocks of code, in their order; whether each is code."""
    end = 0
    for block in _FENCED.finditer(markdown):
        yield markdown[end : block.start()], False
        yield block[0], True
        end = block.end()
    yield markdown[end:], False


def _shown(target: str) -> str:
    """A page about a file or directory of the repository."""
    path = ROOT / target
    head = f"---\nsearch:\n  exclude: true\n---\n\n# {target}\n\n"
    if path.is_dir():
        return head + "\n".join(f"- `{name.relative_to(path)}`" for name in sorted(_files(path)))
    return f"{head}````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text('utf-8')}\n````\n"


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and not any(
                part.startswith(".") or part.endswith(".egg-info")
                for part in path.relative_to(directory).parts
            )
        ):
            yield path
