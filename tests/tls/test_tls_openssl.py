# SPDX-License-Identifier: EUPL-1.2

"""Everything about TLS holds under the OpenSSL configuration too, RSA-PSS chains and refusals among it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SUITES: Final = ("tests/pki/test_pki_tls.py", "tests/pki/test_pki_server_certificates.py")


def test_what_is_tried_without_the_openssl_configuration_holds_with_it() -> None:
    environment = os.environ | {"OPENSSL_CONF": str(ROOT / "config" / "openssl.cnf")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITES]
    done = subprocess.run(
        command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout


def test_the_openssl_configuration_is_read() -> None:
    """A file with a mistake must not go by unnoticed: OpenSSL ignores what it does not understand."""
    script = (
        "import ssl; context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
        "print([one['name'] for one in context.get_ciphers() if one['protocol'] == 'TLSv1.3'])"
    )
    environment = os.environ | {"OPENSSL_CONF": str(ROOT / "config" / "openssl.cnf")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    suites = b"['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']"
    assert done.stdout.strip() == suites
    assert done.stderr == b""
