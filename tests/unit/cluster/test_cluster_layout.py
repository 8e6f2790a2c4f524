"""The files and arguments of the cluster's parts: what keeps it safe and what keeps it up is there."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from looma_cluster import paths
from looma_cluster.builtin import addons, facts, forwarder, layout, network, node, teardown
from looma_cluster.builtin.api import distrusted, ready_since
from looma_cluster.builtin.components import START_ORDER, Places, components

PLACES = Places(
    programs=Path("/bin-x"),
    pki=Path("/s/pki"),
    config=Path("/s/config"),
    etcd=Path("/s/etcd"),
    node_address="10.213.0.2",
    cgroup="/looma-one",
)


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return paths.instance("one")


def parts():
    return components(PLACES)


def test_components_start_from_the_bottom_up():
    assert tuple(parts()) == START_ORDER
    assert START_ORDER.index("etcd") < START_ORDER.index("kube-apiserver") < START_ORDER.index("kubelet")
    assert START_ORDER.index("containerd") < START_ORDER.index("kubelet")


def test_they_stop_in_the_order_that_ends_well():
    order = teardown.order(list(START_ORDER))
    wanted = ["kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"]
    assert [name for name in order if name in wanted] == wanted
    assert sorted(order) == sorted(START_ORDER)


def test_each_component_is_told_from_the_others_by_its_program():
    programs = [part.command[0] for part in parts().values()]
    assert len(set(programs)) == len(programs)


def test_etcd_answers_nobody_without_a_certificate():
    command = parts()["etcd"].command
    assert "--client-cert-auth" in command
    assert "--listen-client-urls=https://127.0.0.1:2379" in command


def test_only_clients_that_are_known_reach_the_kubelet():
    kubelet = layout.kubelet(pki=PLACES.pki, config=PLACES.config, cgroup="/looma-one")
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}


def test_sockets_fit_into_the_kernels_107_bytes():
    assert len(f"{facts.KUBELET_ROOT}/plugins_registry/some-driver.example.org-reg.sock") < 107


def test_secrets_are_encrypted_first_and_plain_ones_can_still_be_read():
    providers = layout.encryption(b"k" * 32)["resources"][0]["providers"]
    assert list(providers[0]) == ["secretbox"]
    assert base64.b64decode(providers[0]["secretbox"]["keys"][0]["secret"]) == b"k" * 32
    assert list(providers[-1]) == ["identity"]


def test_the_encryption_key_is_made_once(tmp_path):
    file = tmp_path / "encryption.yaml"
    layout.write_encryption(file)
    first = file.read_text()
    layout.write_encryption(file)
    assert file.read_text() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("sources", "answer"),
    [
        pytest.param(["nameserver 127.0.0.53\n"], [], id="loopback is no use to a pod"),
        pytest.param(
            ["nameserver 127.0.0.53", "nameserver 9.9.9.9"], ["9.9.9.9"], id="the next file is asked"
        ),
        pytest.param(
            ["nameserver 1.1.1.1\nsearch x", "nameserver 9.9.9.9"], ["1.1.1.1"], id="the first wins"
        ),
        pytest.param(["# nameserver 1.1.1.1\nnameserver", ""], [], id="nothing there"),
        pytest.param(
            ["\n".join(f"nameserver 1.1.1.{n}" for n in range(5))], ["1.1.1.0", "1.1.1.1", "1.1.1.2"], id="3"
        ),
    ],
)
def test_name_servers_of_pods(sources, answer):
    assert layout.name_servers(*sources) == answer


def test_everything_that_the_parts_read_is_written(instance):
    link = network.choose_link("one", taken=[])
    files = layout.files(instance, pause="localhost/looma-pause:1")
    layout.write(instance, link, files=files, api_port=7443)
    places = Places(
        programs=Path("/bin-x"),
        pki=instance.pki,
        config=instance.config,
        etcd=instance.state / "etcd",
        node_address=link.node,
        cgroup="/looma-one",
    )
    words = " ".join(word for part in components(places).values() for word in part.command)
    named = {word.rpartition("=")[2] for word in words.split() if str(instance.state) in word}
    missing = [path for path in named if not Path(path).exists() and not path.endswith("/etcd")]
    assert missing == []
    admin = yaml.safe_load(instance.kubeconfig.read_text())
    assert admin["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:7443"
    assert stat.S_IMODE(instance.kubeconfig.stat().st_mode) == 0o600


def test_a_changed_file_changes_the_digest(instance):
    one = layout.files(instance, pause="localhost/looma-pause:1")
    assert layout.digest(one) == layout.digest(dict(reversed(one.items())))
    assert layout.digest(one) != layout.digest(layout.files(instance, pause="localhost/looma-pause:2"))


@pytest.mark.parametrize("resolver", ["/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"])
def test_the_script_of_the_mounts_is_shell_even_with_odd_folders(instance, resolver):
    odd = paths.Instance(name="one", state=instance.state / "a folder's name")
    script = node.furnishing_script(odd, Path(resolver))
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    assert script.rstrip().endswith(f"touch {node.READY_MARK}")


def test_the_forwarder_listens_on_loopback_alone():
    link = network.choose_link("one", taken=[])
    assert [
        word.split(":")[0]
        for word in forwarder.arguments(link=link, console_port=1, https_port=3, api_port=2)
    ] == [
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.1",
    ]


def test_a_node_is_not_ready_by_an_old_heartbeat():
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2030-01-01T00:00:10Z"}
    since = 1893456000.0
    assert ready_since([{"type": "DiskPressure", "status": "False"}, ready], since + 10)
    assert not ready_since([ready], since + 11)
    assert not ready_since([ready | {"status": "False"}], since)
    assert not ready_since([], since)


def test_only_pods_that_claim_to_be_ready_are_distrusted():
    claims = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert distrusted(claims)["status"]["conditions"][0]["status"] == "False"
    assert distrusted({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}) is None
    assert distrusted({"status": {}}) is None


@pytest.fixture
def additions():
    serving = {"tls.crt": "Yw==", "tls.key": "aw==", "ca.crt": "YQ=="}
    return addons.objects(coredns="c:1", metrics_server="m:1", name_servers=["9.9.9.9"], serving=serving)


def test_additions_are_applied_anew_when_anything_in_them_changes(additions):
    changed = json.loads(json.dumps(additions))
    assert addons.digest(changed) == addons.digest(additions)
    changed[-1]["spec"]["caBundle"] = "Yg=="
    assert addons.digest(changed) != addons.digest(additions)


def test_pods_of_the_additions_keep_the_restricted_level(additions):
    for item in additions:
        if item["kind"] == "Deployment":
            context = item["spec"]["template"]["spec"]["containers"][0]["securityContext"]
            assert context["runAsNonRoot"]
            assert context["readOnlyRootFilesystem"]
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_no_right_is_a_wildcard(additions):
    rules = [rule for item in additions if item["kind"] == "ClusterRole" for rule in item["rules"]]
    assert rules
    assert not [rule for rule in rules if "*" in json.dumps(rule)]


def test_names_outside_are_asked_only_where_somebody_can_answer():
    assert "forward . 9.9.9.9 1.1.1.1" in addons.corefile(["9.9.9.9", "1.1.1.1"])
    assert "forward" not in addons.corefile([])


def test_metrics_server_trusts_the_clusters_authority_alone(additions):
    assert "insecure" not in json.dumps(additions).replace("pods insecure", "")
