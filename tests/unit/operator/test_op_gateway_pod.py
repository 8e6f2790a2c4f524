"""Pods of the engine `gateway`: two containers beside each other, and HAProxy's end as requests need it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from looma_operator.render.gateway import RUN_CONTROLLER, RUN_HAPROXY
from support.operator_world import World, spec

Json = dict[str, Any]


def world(**changes: Any) -> World:
    made = World(spec=spec(engine="gateway", route={}, **changes))
    made.settle()
    return made


def pod(**changes: Any) -> Json:
    found: Json = world(**changes).children["Deployment", "resume-r1"]["spec"]["template"]["spec"]
    return found


def containers(template: Json) -> dict[str, Json]:
    return {item["name"]: item for item in [*template["initContainers"], *template["containers"]]}


def ports(container: Json) -> dict[str, int]:
    return {item["name"]: item["containerPort"] for item in container.get("ports", [])}


def test_three_containers_of_one_image_share_a_folder():
    template = pod(image="gateway:1")
    found = containers(template)
    assert list(found) == ["first-configuration", "engine", "controller"]
    assert {item["image"] for item in found.values()} == {"gateway:1"}
    for item in found.values():
        mounts = {mount["mountPath"]: mount["name"] for mount in item["volumeMounts"]}
        assert mounts["/run/looma"] == "run"
        assert item["securityContext"]["readOnlyRootFilesystem"] is True
        assert item["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"name": "run", "emptyDir": {}} in template["volumes"]
    assert found["first-configuration"]["command"] == ["looma-engine", "gateway-init"]
    assert found["controller"]["command"] == ["/bin/sh", "-c", RUN_CONTROLLER]


def test_ports_and_probes():
    found = containers(pod())
    assert ports(found["engine"]) == {"http": 8080, "https": 8443, "probes": 8404, "peers": 10000}
    assert ports(found["controller"]) == {"controller": 8081}
    asked = {name: found["engine"][name]["httpGet"] for name in ("readinessProbe", "livenessProbe")}
    assert asked == {
        "readinessProbe": {"path": "/readyz", "port": "probes"},
        "livenessProbe": {"path": "/healthz", "port": "probes"},
    }
    assert "readinessProbe" not in found["controller"], "the pod serves while its controller is away"
    assert found["controller"]["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "controller"}


def test_the_pod_says_who_it_is_and_gets_no_secret():
    template = pod(config={"maxConnections": 5000})
    assert template["automountServiceAccountToken"] is True
    for item in containers(template).values():
        env = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in item["env"]}
        assert json.loads(env["LOOMA_CONFIG"]) == {"maxConnections": 5000}
        assert (env["LOOMA_SERVICE"], env["LOOMA_REVISION"], env["LOOMA_NAMESPACE"]) == (
            "resume",
            "r1",
            "looma",
        )
        assert env["LOOMA_POD"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        assert env["LOOMA_POD_ADDRESS"] == {"fieldRef": {"fieldPath": "status.podIP"}}
        assert item["envFrom"] == [{"configMapRef": {"name": "looma-engines", "optional": True}}]


def test_resources_are_haproxys_and_the_controller_is_small():
    found = containers(pod(resources={"limits": {"memory": "2Gi"}}))
    assert found["engine"]["resources"] == {"limits": {"memory": "2Gi"}}
    assert found["controller"]["resources"]["limits"] == {"memory": "384Mi"}


@pytest.mark.parametrize(("config", "seconds"), [({}, 60), ({"hardStopSeconds": 300}, 310)])
def test_a_pod_may_end_as_late_as_its_streams(config, seconds):
    template = pod(config=config)
    assert template["terminationGracePeriodSeconds"] == seconds
    for name in ("engine", "controller"):
        assert containers(template)[name]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


def test_a_user_template_reaches_both_containers():
    mine = [
        {"name": "controller", "env": [{"name": "EXTRA", "value": "1"}]},
        {"name": "engine", "resources": {"limits": {"memory": "3Gi"}}},
    ]
    template = pod(podTemplate={"spec": {"containers": mine, "nodeSelector": {"edge": "yes"}}})
    found = containers(template)
    assert list(found) == ["first-configuration", "engine", "controller"]
    assert {"name": "EXTRA", "value": "1"} in found["controller"]["env"]
    assert found["controller"]["command"] == ["/bin/sh", "-c", RUN_CONTROLLER]
    assert found["engine"]["resources"]["limits"] == {"memory": "3Gi"}
    assert template["nodeSelector"] == {"edge": "yes"}


def test_anybody_calls_the_gateway_and_only_looma_its_inside():
    anybody, looma = world().children["NetworkPolicy", "resume"]["spec"]["ingress"]
    assert "from" not in anybody
    assert [(port["port"], port.get("endPort")) for port in anybody["ports"]] == [
        (8080, None),
        (8443, None),
        (20000, 29999),
    ]
    assert looma["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "looma"}}}]
    assert [port["port"] for port in looma["ports"]] == [8404, 8081, 10000]


def test_peers_find_each_other_before_they_are_ready():
    service = world().children["Service", "resume-peers"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["ports"][0]["port"] == 10000


def test_other_engines_have_none_of_it():
    made = World()
    made.settle()
    assert ("Service", "resume-peers") not in made.children
    template = made.children["Deployment", "resume-r1"]["spec"]["template"]["spec"]
    assert template["automountServiceAccountToken"] is False
    assert "initContainers" not in template


HAPROXY = """#!/bin/sh
echo "$@" > arguments
trap 'echo soft > signals; exit 7' USR1
trap 'echo hard > signals; exit 9' TERM
echo begun > ready
while :; do sleep 0.05; done
"""
CONTROLLER = """#!/bin/sh
trap 'exit 7' TERM
echo "$$ $@" >> begun
echo begun > ready
while :; do sleep 0.05; done
"""


@contextmanager
def container(script: str, folder: Path, **programs: str) -> Iterator[subprocess.Popen[bytes]]:
    """The script of a container in `folder`, with these programs in its path; killed at the end."""
    for name, text in programs.items():
        program = folder / name.replace("_", "-")
        program.write_text(text)
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    with subprocess.Popen(
        ["/bin/sh", "-c", script],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as shell:
        try:
            yield shell
        finally:
            # With what it began: where a test fails that may go on.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


def test_the_container_ends_haproxy_softly_and_with_its_own_status(tmp_path: Path):
    with container(RUN_HAPROXY, tmp_path, haproxy=HAPROXY) as shell:
        _wait_for(tmp_path / "ready", shell)
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(timeout=20) == 7
    assert (tmp_path / "signals").read_text() == "soft\n"
    assert (tmp_path / "arguments").read_text() == (
        "-W -S /run/looma/master.sock,mode,600 -f /run/looma/haproxy.cfg\n"
    )


def test_the_container_ends_when_haproxy_does(tmp_path: Path):
    with container(RUN_HAPROXY, tmp_path, haproxy="#!/bin/sh\nexit 3\n") as shell:
        assert shell.wait(timeout=20) == 3


def test_the_container_stays_when_the_controller_is_killed_and_says_so(tmp_path: Path):
    """Without its container the pod would be out of the Service that leads to HAProxy."""
    with container(RUN_CONTROLLER, tmp_path, looma_engine=CONTROLLER) as shell:
        assert shell.stderr is not None
        for turn in range(2):
            _wait_for(tmp_path / "ready", shell)
            process, *arguments = (tmp_path / "begun").read_text().splitlines()[turn].split()
            assert arguments == ["gateway"]
            (tmp_path / "ready").unlink()
            os.kill(int(process), signal.SIGKILL)
            # The shell tells of a killed child itself as well.
            said = json.loads(next(line for line in shell.stderr if line.startswith(b"{")))
            assert said == {
                "event": "the controller ended and begins again",
                "level": "error",
                "status": 128 + signal.SIGKILL,
            }
        _wait_for(tmp_path / "ready", shell)
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(timeout=20) == 7, "a pod that ends begins nothing again"
    assert len((tmp_path / "begun").read_text().splitlines()) == 3


def test_the_container_ends_where_another_start_mends_nothing(tmp_path: Path):
    with container(RUN_CONTROLLER, tmp_path, looma_engine="#!/bin/sh\nexit 2\n") as shell:
        assert shell.wait(timeout=20) == 2


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while not file.exists():
        assert process.poll() is None, "it ended before it began"
        assert time.monotonic() < deadline, f"{file.name} does not come"
        time.sleep(0.02)
