# SPDX-License-Identifier: EUPL-1.2

"""Tracing as the configuration asks for it."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from adapter.config import ConfigProblem, TracingConfig
from adapter.observe.tracing import Backend


def make_tracing(config: TracingConfig | None) -> Backend | None:
    """What makes the spans; None where none are asked for. Blocking. Raises ConfigProblem."""
    if config is None:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ConfigProblem(
            [
                "tracing: OpenTelemetry is not installed; pip install 'stam-adapter[tracing]', or leave out [tracing]"
            ]
        )
    # only here: who does not trace does not load it
    from adapter.observe.spans import OpenTelemetry  # noqa: PLC0415

    return OpenTelemetry.to(
        config.endpoint,
        service=config.service,
        ratio=config.ratio,
        headers=_headers(config.headers_file),
        roots=config.roots,
    )


def _headers(path: Path | None) -> Mapping[str, str]:
    """The headers of a file. Raises ConfigProblem."""
    if path is None:
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigProblem(
            [
                f"tracing.headers_file: {path} cannot be read ({type(problem).__name__}); check the path and its rights"
            ]
        ) from None
    headers = {}
    for number, line in enumerate(lines, start=1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip() or not value.strip() or not line.isprintable():
            raise ConfigProblem(
                [f"tracing.headers_file: line {number} of {path} is no header; write it as Name: value"]
            )
        headers[name.strip()] = value.strip()
    return headers
