# SPDX-License-Identifier: EUPL-1.2

"""Real proxies that end TLS: nginx and HAProxy, each with its example of config/proxy, moved to free ports.

Where a binary is not there, the tests that need it skip with the reason; with STAM_ADAPTER_REQUIRE=proxies in the
environment they fail instead.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapter.pki import IssuedCertificate
from tests.postgresql import START, free_port
from tests.servers import NoServer, do_without

EXAMPLES = Path(__file__).parents[1] / "config" / "proxy"
ADDRESS = "127.0.0.2"
"""Where a proxy has its connections to the adapter from, so that a test can also come from elsewhere."""


def find_binary(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        raise NoServer(f"there is no {name}; `apt-get install {name}` brings it")
    return found


def moved(text: str, places: Mapping[str, str]) -> str:
    """An example with other addresses and paths; each must be there."""
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass
class Proxy:
    """A proxy that runs; `header` is where it hands over the certificate of a peer."""

    name: str
    header: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(START)


def start_proxy(name: str, directory: Path, issued: IssuedCertificate, root: Path, adapter: int) -> Proxy:
    """Start a proxy before the adapter on this port; skip the test where its binary is not here."""
    directory.mkdir()
    try:
        binary = find_binary(name)
    except NoServer as missing:
        do_without("proxies", name, str(missing))
    port = free_port()
    certificate, key = issued.write(directory, "server")
    if name == "nginx":
        config = directory / "nginx.conf"
        config.write_text(_nginx(directory, root, port, adapter))
        command = [binary, "-p", str(directory), "-c", str(config)]
        check = [*command, "-t"]
    else:
        config = directory / "haproxy.cfg"
        both = directory / "both.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        config.write_text(_haproxy(both, root, port, adapter))
        command = [binary, "-db", "-f", str(config)]
        check = [binary, "-c", "-f", str(config)]
    checked = subprocess.run(check, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr.decode()
    log = directory / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    until = time.monotonic() + START
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(log.read_text(errors="replace"))
        time.sleep(0.02)
    return Proxy(name, "X-SSL-Client-Cert", port, process, log)


def _nginx(directory: Path, root: Path, port: int, adapter: int) -> str:
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    places = {
        "events {}": f"daemon off; pid {directory}/pid; error_log stderr; events {{}}",
        "access_log off;": f"access_log off; {temporary}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server 10.0.0.5:8080": f"server 127.0.0.1:{adapter}",
        "/etc/nginx/tls/pkioverheid-private-g1.pem": str(root),
        "/etc/nginx/tls": str(directory),
        "proxy_pass ": f"proxy_bind {ADDRESS}; proxy_pass ",
    }
    return moved((EXAMPLES / "nginx.conf").read_text(), places)


def _haproxy(both: Path, root: Path, port: int, adapter: int) -> str:
    places = {
        "bind :443 ": f"bind 127.0.0.1:{port} ",
        "/etc/haproxy/tls/server.pem": str(both),
        "/etc/haproxy/tls/pkioverheid-private-g1.pem": str(root),
        "server adapter 10.0.0.5:8080": f"server adapter 127.0.0.1:{adapter} source {ADDRESS}",
    }
    return moved((EXAMPLES / "haproxy.cfg").read_text(), places)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
