# SPDX-License-Identifier: EUPL-1.2

"""`health`: asks the running daemon how it is, as a container and a person at night do."""

import json
import ssl
from http.client import HTTPException
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, build_opener

import typer

from adapter.cli.output import WRONG_USE, fail, show_json
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, JsonOption, read_config
from adapter.config import Config

_LARGEST = 1 << 20  # octets of an answer
_SECONDS = 10.0  # longer than the daemon takes for its checks
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound: what listens there, listens here


def health(
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether it lives, not whether it is ready.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar="STAM_ADAPTER_HEALTH_URL",
            help="Where the admin listener is; without it, where the configuration says.",
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Ask the running daemon how it is; ends with 1 where it is not ready, or does not answer.

    With --url no configuration is read, so that what is wrong in it lets no container restart.

    Example: stam-adapter health --live --url http://127.0.0.1:8080
    """
    base = (url or _listener(read_config(config))).rstrip("/")
    if not base.startswith(("http://", "https://")):
        fail(f"--url {base} is no address of a listener; write it as http://127.0.0.1:8080", WRONG_USE)
    well, found = _ask(f"{base}/health/{'live' if live else 'ready'}")
    if as_json:
        show_json(found)
    else:
        typer.echo("\n".join(_lines(found)))
    if not well:
        raise typer.Exit(1)


def _listener(config: Config) -> str:
    """The address of the admin listener, from this host."""
    host, port = config.admin.listen.host, config.admin.listen.port
    host = _ANYWHERE.get(host, host)
    scheme = "http" if config.admin.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(url: str) -> tuple[bool, dict[str, Any]]:
    """Whether all is well, and the document that says so; ends the command where there is none."""
    context = ssl.create_default_context()
    # The certificate is made out to the name that users type, and nothing secret is asked or told.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context), _NoRedirects)
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return True, _document(url, answer.read(_LARGEST))
    except HTTPError as answer:
        with answer:
            if answer.code != 503:
                fail(f"{url} answered HTTP {answer.code}; is that the admin listener of the adapter?")
            return False, _document(url, answer.read(_LARGEST))
    except URLError as error:
        fail(f"{url} does not answer ({error.reason}); does the daemon run, and is that its [admin] listen?")
    except (OSError, HTTPException) as error:
        fail(f"{url} does not answer ({error or type(error).__name__}); is that its [admin] listen?")


def _document(url: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("status"), str):
        fail(f"{url} answered something else; is that the admin listener of the adapter?")
    return found


def _lines(found: dict[str, Any]) -> list[str]:
    return [
        found["status"],
        *(f"- {reason}" for reason in found.get("reasons", ())),
        *(f"- warning: {warning}" for warning in found.get("warnings", ())),
    ]
