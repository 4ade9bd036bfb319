# SPDX-License-Identifier: EUPL-1.2

"""What Compose and Helm make of the adapter fits its image, its configuration and the API of Kubernetes."""

import base64
import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from adapter.config import load_config
from tests.servers import do_without

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
CHART = ROOT / "deploy" / "helm" / "stam-adapter"
KUBERNETES = "1.31"
UID = 10001  # of the image

MAIN = (COMPOSE / "config" / "stam-adapter.toml").read_text().partition("[authorities.")[0]
AUTHORITY = 'party = "urn:osb:oin:00000001001100415000"\ncertificate = "tls/stad.pem"\nkey = "tls/stad.key"\n'
VALUES: dict[str, Any] = {
    "config": MAIN.replace('listen = "0.0.0.0:8080"', 'listen = "0.0.0.0:8080"\nrate = "50/s"')
    + '\n[store.s3]\nendpoint = "https://s3.example.nl"\n',
    "authorities": {"voorbeeldstad": AUTHORITY},
    "cpas": {"voorbeeldstad.xml": "<CollaborationProtocolAgreement/>"},
    "secrets": [{"name": "stam-adapter-tls", "path": "tls"}],
    "secretEnv": {"PGPASSWORD": {"secret": "stam-adapter-database", "key": "password"}},
    "env": {"STAM_ADAPTER__LOG__LEVEL": "debug"},
    "volumes": [{"claim": "verzoeken", "path": "/srv/verzoeken"}],
}


@pytest.fixture(scope="module")
def helm() -> str:
    found = shutil.which("helm", path=f"{os.environ['PATH']}:{Path.home() / 'go/bin'}")
    if found is None:
        do_without("helm", "helm", "there is no helm; `go install helm.sh/helm/v3/cmd/helm@latest` brings it")
    return found


class Chart:
    """The chart, as Helm renders it for values."""

    def __init__(self, helm: str, directory: Path) -> None:
        self._helm, self._directory = helm, directory

    def run(self, *command: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        file = self._directory / "values.json"
        file.write_text(json.dumps(values))
        return subprocess.run(
            [self._helm, *command, str(CHART), "--values", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )

    def render(self, **changed: Any) -> dict[str, dict[str, Any]]:
        """Every object, by its kind and name."""
        made = self.run("template", "stam", "--kube-version", KUBERNETES, values=VALUES | changed)
        assert made.returncode == 0, made.stderr
        objects = [found for found in yaml.safe_load_all(made.stdout) if found]
        return {f"{found['kind']}/{found['metadata']['name']}": found for found in objects}

    def refuses(self, **changed: Any) -> str:
        """Why it cannot be rendered."""
        made = self.run("template", "stam", "--kube-version", KUBERNETES, values=VALUES | changed)
        assert made.returncode != 0
        return made.stderr


@pytest.fixture
def chart(helm: str, tmp_path: Path) -> Chart:
    return Chart(helm, tmp_path)


def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment/stam-stam-adapter"]["spec"]["template"]["spec"]
    return spec


def test_the_chart_is_of_the_version_of_the_adapter() -> None:
    told = yaml.safe_load((CHART / "Chart.yaml").read_text())
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (told["version"], told["appVersion"]) == (wanted, wanted)


def test_the_chart_has_no_lint(chart: Chart) -> None:
    linted = chart.run("lint", "--strict", "--kube-version", KUBERNETES, values=VALUES)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"authorities": {}, "cpas": {}, "secrets": [], "env": {}, "secretEnv": {}, "volumes": []},
        {"replicas": 1, "state": {"kind": "claim", "storageClass": "fast"}},
        {"ebms": {"type": "ClusterIP", "annotations": {"a": "b"}}, "podDisruptionBudget": {"enabled": False}},
        {
            "ebms": {"loadBalancerSourceRanges": ["192.0.2.0/24"]},
            "podLabels": {"a": "b"},
            "nodeSelector": {"c": "d"},
        },
    ],
    ids=["all", "least", "claim", "inside", "placed"],
)
def test_kubernetes_accepts_every_object(chart: Chart, changed: dict[str, Any]) -> None:
    objects = chart.render(**changed)
    assert "Deployment/stam-stam-adapter" in objects
    for found in objects.values():
        kubernetes_validate.validate(found, KUBERNETES, strict=True)


def test_a_monitor_asks_the_listener_of_operators_only(chart: Chart) -> None:
    objects = chart.render(metrics={"serviceMonitor": True, "labels": {"release": "prometheus"}})
    monitor = objects["ServiceMonitor/stam-stam-adapter"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [name for name, found in objects.items() if wanted <= found["metadata"]["labels"].items()]
    assert services == ["Service/stam-stam-adapter-admin"]
    assert monitor["spec"]["endpoints"][0]["scheme"] == "https"


def test_the_pod_may_do_no_more_than_the_image_promises(chart: Chart) -> None:
    spec = pod(chart.render())
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == UID
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False


def test_keys_are_mounted_as_the_daemon_wants_them(chart: Chart) -> None:
    secrets = [volume["secret"] for volume in pod(chart.render())["volumes"] if "secret" in volume]
    assert {secret["defaultMode"] for secret in secrets} == {0o440}
    assert "stam-adapter-tls" in {secret["secretName"] for secret in secrets}


def test_a_daemon_may_end_its_work_before_it_is_killed(chart: Chart) -> None:
    spec = pod(chart.render())
    pause = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] >= pause + 50


def test_a_change_of_an_authority_replaces_no_daemon(chart: Chart) -> None:
    before = chart.render()["Deployment/stam-stam-adapter"]
    other = chart.render(authorities={"elders": 'party = "urn:osb:oin:00000001001100415001"\n'})
    assert other["Deployment/stam-stam-adapter"] == before


def test_a_change_of_the_main_file_replaces_them(chart: Chart) -> None:
    before = chart.render()["Deployment/stam-stam-adapter"]
    assert chart.render(config=MAIN + "# other\n")["Deployment/stam-stam-adapter"] != before


def test_several_daemons_cannot_share_one_state(chart: Chart) -> None:
    assert "set replicas to 1" in chart.refuses(replicas=2, state={"kind": "claim"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"config": ""},
        {"replica": 3},
        {"replicas": 0},
        {"secrets": [{"name": "keys", "path": "../etc"}]},
        {"secrets": [{"name": "keys", "path": "/tls"}]},
        {"authorities": {"../voorbeeldstad": "party"}},
        {"state": {"kind": "disk"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_values_that_mean_nothing_are_refused(chart: Chart, wrong: dict[str, Any]) -> None:
    assert "don't meet the specifications of the schema" in chart.refuses(**wrong)


def test_the_configuration_arrives_as_it_was_written(chart: Chart, tmp_path: Path) -> None:
    objects = chart.render()
    for secret, directory in (("config", tmp_path), ("authorities", tmp_path / "authorities.d")):
        directory.mkdir(exist_ok=True)
        for name, contents in contents_of(objects[f"Secret/stam-stam-adapter-{secret}"]):
            (directory / name).write_text(contents)
    config = load_config(tmp_path / "stam-adapter.toml", {})
    assert list(config.authorities) == ["voorbeeldstad"]
    assert config.admin.listen.port == 8080
    assert config.admin.tls is not None


def contents_of(secret: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from secret.get("stringData", {}).items()
    for name, encoded in secret.get("data", {}).items():
        yield name, base64.b64decode(encoded).decode()


def test_the_configuration_for_compose_is_accepted() -> None:
    config = load_config(COMPOSE / "config" / "stam-adapter.toml", {})
    assert config.state == Path("/var/lib/stam-adapter")
    assert config.admin.tls is not None


def test_what_compose_mounts_and_publishes_is_what_the_configuration_names() -> None:
    config = load_config(COMPOSE / "config" / "stam-adapter.toml", {})
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    adapter = services["adapter"]
    targets = {part for volume in adapter["volumes"] for part in volume.split(":") if part.startswith("/")}
    assert targets == {"/etc/stam-adapter", str(config.state), "/srv/verzoeken"}
    assert {port.rsplit(":", 1)[1] for port in adapter["ports"]} == {
        str(config.ebms.listen.port),
        str(config.admin.listen.port),
    }
    assert adapter["read_only"] is True
    assert adapter["cap_drop"] == ["ALL"]
    assert (
        adapter["environment"]["STAM_ADAPTER_HEALTH_URL"] == f"https://127.0.0.1:{config.admin.listen.port}"
    )
    assert config.store.url.endswith("@database/stam")
    assert "database" in services
