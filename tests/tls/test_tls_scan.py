# SPDX-License-Identifier: EUPL-1.2

"""What an external scanner, sslyze, finds at both listeners of a daemon that runs as its unit and container run it."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from adapter.simulator import AgreementPlan, World, create_world

ROOT: Final = Path(__file__).parents[2]
SCANNER: Final = Path(os.environ.get("STAM_ADAPTER_SSLYZE", ROOT / ".venv-scanner" / "bin" / "sslyze"))

Report = Mapping[str, Any]

LISTENERS: Final = ("ebms", "admin")
GOOD_GROUPS: Final = {"X25519", "X448", "secp256r1", "secp384r1"}

pytestmark = pytest.mark.skipif(
    not SCANNER.exists(), reason="the scanner is not there; `make scanner` installs it"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose daemon listens with TLS for partners and for operators, under the OpenSSL configuration."""
    made = create_world(tmp_path_factory.mktemp("scan"), {"stad": AgreementPlan()}, key_size=3072)
    with made.config.open("a") as file:
        file.write('\n[admin.tls]\ncertificate = "tls/stad.pem"\nkey = "tls/stad.key"\n')
    environment = os.environ | {"OPENSSL_CONF": str(ROOT / "config" / "openssl.cnf")}
    command = [sys.executable, "-m", "adapter", "run", "--config", str(made.config)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if b"daemon.ready" in line:
                    break
            else:
                raise AssertionError(b"".join(said).decode())
            # what it says from here on must not fill the pipe
            threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
            yield made
        finally:
            process.kill()


@pytest.fixture(scope="module")
def reports(world: World) -> Mapping[str, Report]:
    """What the scanner found, by listener."""
    tls = world.directory / "tls"
    shown = ("--cert", str(tls / "dso.pem"), "--key", str(tls / "dso.key"))
    return {"ebms": scan(world, world.ports.adapter, *shown), "admin": scan(world, world.ports.admin)}


def scan(world: World, port: int, *shown: str) -> Report:
    out = world.directory / f"{port}.json"
    command = [
        *(str(SCANNER), "--quiet", "--mozilla_config", "disable", "--json_out", str(out)),
        *shown,
        *("--certinfo", "--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3"),
        *("--compression", "--reneg", "--early_data", "--resum", "--elliptic_curves"),
        *("--heartbleed", "--openssl_ccs", "--robot", "--fallback", "--ems"),
        *("--certinfo_ca_file", str(world.directory / "tls" / "root.pem"), f"localhost:{port}"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, timeout=240)
    assert out.exists(), (done.stdout + done.stderr).decode(errors="replace")
    (server,) = json.loads(out.read_text())["server_scan_results"]
    assert server["connectivity_status"] == "COMPLETED", server["connectivity_error_trace"]
    return {name: one for name, one in server["scan_result"].items() if one["status"] == "COMPLETED"}


def result(reports: Mapping[str, Report], listener: str, name: str) -> Any:
    assert name in reports[listener], f"the scanner did not complete {name}: {sorted(reports[listener])}"
    return reports[listener][name]["result"]


def suites(found: Any) -> set[str]:
    return {one["cipher_suite"]["name"] for one in found["accepted_cipher_suites"]}


# no client of SSL 2 can show the certificate that partners need, so that one is tried at the other listener only
@pytest.mark.parametrize(
    ("listener", "version"),
    [
        ("admin", "ssl_2_0"),
        *((listener, version) for listener in LISTENERS for version in ("ssl_3_0", "tls_1_0", "tls_1_1")),
    ],
)
def test_nothing_older_than_tls_1_2_is_taken(
    reports: Mapping[str, Report], listener: str, version: str
) -> None:
    assert suites(result(reports, listener, f"{version}_cipher_suites")) == set()


@pytest.mark.parametrize("listener", LISTENERS)
def test_the_suites_are_good_or_sufficient(reports: Mapping[str, Report], listener: str) -> None:
    assert suites(result(reports, listener, "tls_1_3_cipher_suites")) == {
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
    }
    assert suites(result(reports, listener, "tls_1_2_cipher_suites")) == {
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    }


@pytest.mark.parametrize("listener", LISTENERS)
def test_the_groups_are_good_or_sufficient(reports: Mapping[str, Report], listener: str) -> None:
    found = result(reports, listener, "elliptic_curves")
    assert {curve["name"] for curve in found["supported_curves"]} == GOOD_GROUPS
    assert {"secp521r1", "secp224r1"} <= {curve["name"] for curve in found["rejected_curves"]}


@pytest.mark.parametrize("listener", LISTENERS)
def test_nothing_is_compressed_renegotiated_resumed_or_early(
    reports: Mapping[str, Report], listener: str
) -> None:
    assert result(reports, listener, "tls_compression")["supports_compression"] is False
    renegotiation = result(reports, listener, "session_renegotiation")
    assert renegotiation["supports_secure_renegotiation"] is True  # RFC 5746: says so, and then refuses
    assert renegotiation["is_vulnerable_to_client_renegotiation_dos"] is False
    assert result(reports, listener, "tls_1_3_early_data")["supports_early_data"] is False
    resumption = result(reports, listener, "session_resumption")
    assert resumption["tls_ticket_resumption_result"] == "NOT_SUPPORTED"
    assert resumption["session_id_resumption_result"] == "NOT_SUPPORTED"


@pytest.mark.parametrize("listener", LISTENERS)
def test_no_known_attack_works(reports: Mapping[str, Report], listener: str) -> None:
    assert result(reports, listener, "heartbleed")["is_vulnerable_to_heartbleed"] is False
    assert result(reports, listener, "openssl_ccs_injection")["is_vulnerable_to_ccs_injection"] is False
    assert result(reports, listener, "robot")["robot_result"].startswith("NOT_VULNERABLE")
    assert result(reports, listener, "tls_extended_master_secret")["supports_ems_extension"] is True


def test_partners_must_show_a_certificate_and_operators_need_not(world: World) -> None:
    assert not shakes_hands(world, world.ports.adapter, keys=None)
    assert shakes_hands(world, world.ports.adapter)
    assert shakes_hands(world, world.ports.admin, keys=None)


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384", "X448"])
def test_a_partner_may_choose_a_good_group(world: World, group: str) -> None:
    assert shakes_hands(world, world.ports.adapter, "-groups", group)


@pytest.mark.parametrize("group", ["P-521", "ffdhe2048", "ffdhe3072", "ffdhe4096"])
def test_another_group_is_refused(world: World, group: str) -> None:
    assert not shakes_hands(world, world.ports.adapter, "-groups", group)


@pytest.mark.parametrize("algorithm", ["RSA-PSS+SHA256", "RSA-PSS+SHA512"])
def test_a_good_signature_is_agreed_on(world: World, algorithm: str) -> None:
    assert shakes_hands(world, world.ports.adapter, "-sigalgs", algorithm)


def test_a_signature_with_sha_1_is_refused(world: World) -> None:
    weak = ("-tls1_2", "-cipher", "DEFAULT@SECLEVEL=0", "-sigalgs", "RSA+SHA1")
    assert not shakes_hands(world, world.ports.adapter, *weak)


def shakes_hands(world: World, port: int, *options: str, keys: str | None = "dso") -> bool:
    """Whether an s_client with these options gets an answer; only then it is known that its certificate was taken."""
    tls = world.directory / "tls"
    certificate, key = str(tls / f"{keys}.pem"), str(tls / f"{keys}.key")
    shown = ("-cert", certificate, "-cert_chain", certificate, "-key", key) if keys else ()
    done = subprocess.run(
        ["openssl", "s_client", "-quiet", "-connect", f"localhost:{port}", *shown, *options],
        check=False,
        input=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        capture_output=True,
        timeout=60,
    )
    return done.stdout.startswith(b"HTTP/1.1 ")
