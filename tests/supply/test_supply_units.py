# SPDX-License-Identifier: EUPL-1.2

"""What the systemd units promise, as systemd itself judges them."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from adapter.daemon.daemon import STOP
from tests.servers import do_without

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = ("stam-adapter.service", "stam-adapter@.service")
LARGEST_EXPOSURE = 1.5


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        do_without("systemd", "systemd-analyze", "there is no systemd-analyze; the package systemd has it")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def options(unit: str) -> dict[str, list[str]]:
    """The options of the section [Service], each with all its values."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text("utf-8").partition("[Service]\n")[2].splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", SERVICES)
def test_the_service_is_exposed_to_little(unit: str) -> None:
    said = systemd_analyze("security", "--offline=yes", "--no-pager", str(UNITS / unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert found, said.stderr
    assert float(found[1]) <= LARGEST_EXPOSURE


@pytest.mark.parametrize("kind", ["service", "socket"])
@pytest.mark.parametrize("instance", ["", "@pre"], ids=["single", "instance"])
def test_systemd_finds_nothing_wrong_with_the_unit(instance: str, kind: str, tmp_path: Path) -> None:
    template = instance[:1]
    for one in ("service", "socket"):  # a socket wants its service beside it
        text = (UNITS / f"stam-adapter{template}.{one}").read_text("utf-8")
        # the program is not on this machine
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
        (tmp_path / f"stam-adapter{instance}.{one}").write_text(text)
    said = systemd_analyze("verify", "--man=no", str(tmp_path / f"stam-adapter{instance}.{kind}"))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_the_instance_differs_from_the_single_service_by_its_names_only() -> None:
    single, instance = (options(unit) for unit in SERVICES)
    assert single.keys() == instance.keys()
    for name, values in single.items():
        others = [value.replace("-%i", "") for value in instance[name]]
        assert others == values, name
    named = (
        "User",
        "Group",
        "StateDirectory",
        "ConfigurationDirectory",
        "RuntimeDirectory",
        "WorkingDirectory",
    )
    assert all("-%i" in instance[name][0] for name in (*named, "ExecStart", "ReadWritePaths"))


@pytest.mark.parametrize("unit", SERVICES)
def test_a_wrong_configuration_is_not_started_again_and_a_stop_may_take_its_time(unit: str) -> None:
    found = options(unit)
    assert (found["Type"], found["Restart"], found["RestartPreventExitStatus"]) == (
        ["notify"],
        ["on-failure"],
        ["78"],
    )
    assert float(found["TimeoutStopSec"][0].removesuffix("s")) > STOP.total_seconds()
    assert found["WatchdogSec"]


@pytest.mark.parametrize("unit", ["stam-adapter.socket", "stam-adapter@.socket"])
def test_the_socket_has_the_name_that_the_daemon_knows(unit: str) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNITS / unit)
    assert parser["Socket"]["FileDescriptorName"] == "ebms"
    assert "Accept" not in parser["Socket"]
