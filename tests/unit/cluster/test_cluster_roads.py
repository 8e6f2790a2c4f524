"""kind and existing clusters: the commands that are built, since no engine is here to run them."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_cluster import commands, context, kind, lifecycle, mounts, paths, prerequisites, record
from looma_cluster.builtin.cluster import BuiltIn
from looma_cluster.choose import ChoiceError, Kind
from looma_cluster.commands import CommandError, run
from looma_cluster.context import ContextCluster, RegistryMissingError
from looma_cluster.kind import KindCluster
from looma_cluster.prerequisites import PACKAGES, missing_packages, refusal
from looma_cluster.record import NoInstanceError, Record


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LOOMA_CONTEXT", raising=False)
    monkeypatch.delenv("LOOMA_REGISTRY", raising=False)
    return paths.instance("one")


def test_kind_publishes_on_loopback_alone(instance):
    made = kind.configuration(Record(cluster="kind", console_port=8099, https_port=8499))
    ports = made["nodes"][0]["extraPortMappings"]
    assert [(port["listenAddress"], port["hostPort"], port["containerPort"]) for port in ports] == [
        ("127.0.0.1", 8099, 30080),
        ("127.0.0.1", 8499, 30443),
    ]
    assert made["networking"]["apiServerAddress"] == "127.0.0.1"


def test_kind_leaves_the_users_kubeconfig_alone(instance):
    words = kind.create_command(instance)
    assert words[words.index("--kubeconfig") + 1] == str(instance.kubeconfig)
    assert words[words.index("--name") + 1] == "looma-one"


def test_kind_calls_the_instance_in_use_looma():
    assert kind.cluster_name("looma") == "looma"
    assert kind.cluster_name("test") == "looma-test"


class Commands:
    """Stands for the programs: answers by the first words, and remembers what was asked."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def __call__(self, command, **options):
        line = " ".join(str(word) for word in command)
        self.asked.append(line)
        return next((answer for start, answer in self.answers.items() if line.startswith(start)), "")


@pytest.mark.parametrize(
    ("purge", "there", "done"),
    [
        pytest.param(False, "looma-one", "docker stop looma-one-control-plane", id="down keeps the data"),
        pytest.param(True, "looma-one", "kind delete cluster --name looma-one", id="purge does not"),
        pytest.param(True, "other", None, id="somebody else's cluster is left alone"),
    ],
)
def test_kind_goes_down(monkeypatch, instance, purge, there, done):
    commands = Commands({"kind get clusters": there})
    monkeypatch.setattr(kind, "run", commands)
    KindCluster(instance=instance).down(lambda text: None, purge=purge)
    others = [line for line in commands.asked if not line.startswith("kind get")]
    assert others == [] if done is None else others[0].startswith(done)


def test_a_stopped_kind_cluster_is_started_again(monkeypatch, instance):
    commands = Commands({"kind get clusters": "looma-one"})
    monkeypatch.setattr(kind, "run", commands)
    steps = {
        step.name: step
        for step in KindCluster(instance=instance).steps(Record(cluster="kind", console_port=1))
    }
    step = steps["kind cluster"]
    assert not step.done()
    step.action(lambda text: None)
    assert "docker start looma-one-control-plane" in commands.asked
    assert not [line for line in commands.asked if "create" in line]


def test_a_named_context_is_copied_whole_and_nothing_else():
    words = context.copy_command("kubectl", "prod")
    assert words[1:3] == ["config", "view"]
    assert words[-2:] == ["--context", "prod"]


def test_an_existing_cluster_wants_a_registry(instance):
    with pytest.raises(RegistryMissingError, match="LOOMA_REGISTRY"):
        ContextCluster(instance=instance).choose(Record(cluster="context", context="prod"))


@pytest.mark.parametrize("purge", [False, True])
def test_down_never_takes_an_existing_cluster_away(monkeypatch, instance, purge):
    commands = Commands({})
    monkeypatch.setattr(context, "run", commands)
    monkeypatch.setattr(context.binaries, "path", lambda name: name)
    instance.state.mkdir(parents=True)
    instance.kubeconfig.write_text("")
    ContextCluster(instance=instance).down(lambda text: None, purge=purge)
    assert "uninstall looma" in commands.asked[0]
    assert len(commands.asked) == (2 if purge else 1)
    assert not purge or "delete namespace looma" in commands.asked[1]


def test_the_record_keeps_what_was_chosen(instance):
    made = Record(cluster="builtin", environment="staging", console_port=8081, api_port=6444)
    record.save(instance, made)
    assert record.require(instance) == made
    assert [found.name for found in paths.known_instances()] == ["one"]


def test_an_instance_that_is_not_there_is_named(instance):
    with pytest.raises(NoInstanceError, match="looma up --name one"):
        record.require(instance)


def test_ports_and_network_stay_while_they_are_free(instance):
    cluster = BuiltIn(instance=instance)
    first = cluster.choose(Record(cluster="builtin"))
    record.save(instance, first)
    again = cluster.choose(record.require(instance))
    assert (again.console_port, again.api_port, again.link) == (
        first.console_port,
        first.api_port,
        first.link,
    )
    assert first.console_port != first.api_port


def test_two_instances_share_nothing(instance):
    first = BuiltIn(instance=instance).choose(Record(cluster="builtin"))
    record.save(instance, first)
    second = BuiltIn(instance=paths.instance("two")).choose(Record(cluster="builtin"))
    assert {first.console_port, first.api_port}.isdisjoint({second.console_port, second.api_port})
    assert first.link.subnet != second.link.subnet
    assert first.link.interface != second.link.interface


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "x" * 31, "../up", "a b"])
def test_names_that_no_folder_or_group_may_have_are_refused(name):
    with pytest.raises(paths.InvalidNameError, match="a-z"):
        paths.instance(name)


def test_two_commands_do_not_work_on_one_instance(instance):
    busy = pytest.raises(lifecycle.BusyError, match="another `looma`")
    with lifecycle.locked(instance), busy, lifecycle.locked(instance):
        pytest.fail("both had the lock")


def test_down_of_nothing_says_so(instance):
    assert not lifecycle.down(instance, lambda text: None, purge=True)


def test_an_instance_does_not_change_its_kind_of_cluster(instance):
    record.save(instance, Record(cluster="builtin"))
    with pytest.raises(ChoiceError, match="runs on builtin"):
        lifecycle.up(instance, wanted=Kind.KIND, environment=None, with_release=False)


def test_what_is_missing_is_told_by_its_package():
    assert missing_packages(lambda probe: True) == []
    assert missing_packages(lambda probe: probe != "ip") == ["iproute2"]
    assert missing_packages(lambda probe: False) == list(PACKAGES)


@pytest.mark.parametrize(
    ("may_install", "has_apt", "says"),
    [
        pytest.param(True, True, None, id="installs"),
        pytest.param(False, True, "apt-get install", id="tells the command"),
        pytest.param(True, False, "no apt-get", id="tells the names"),
        pytest.param(False, False, "no apt-get", id="tells the names, whatever may be"),
    ],
)
def test_whether_packages_are_installed(may_install, has_apt, says):
    answer = refusal(["runc"], may_install=may_install, has_apt=has_apt)
    assert answer is None if says is None else (says in answer and "runc" in answer)


def test_nothing_is_installed_when_that_is_not_wanted(monkeypatch, tmp_path):
    monkeypatch.setenv("LOOMA_NO_INSTALL", "1")
    monkeypatch.setattr(prerequisites, "missing_packages", lambda: ["runc"])
    monkeypatch.setattr(prerequisites, "run", lambda *words, **options: pytest.fail("ran apt-get"))
    with pytest.raises(prerequisites.PrerequisiteError, match="runc"):
        prerequisites.install(lambda text: None, log=tmp_path / "apt.log")


def test_a_failed_command_says_what_it_said_last():
    with pytest.raises(CommandError, match=r"ended with 3:\nno room") as caught:
        run(["sh", "-c", "echo no room >&2; exit 3"])
    assert caught.value.code == 3
    assert run(["sh", "-c", "exit 3"], check=False) == ""


def test_a_command_that_is_not_there_fails_alike():
    with pytest.raises(CommandError, match="ended with 127"):
        run(["no-such-program"])


def test_a_command_that_hangs_is_ended():
    with pytest.raises(CommandError, match=r"no answer within 0\.2 s"):
        run(["sleep", "60"], seconds=0.2)


def test_what_runs_is_ended_when_a_step_beside_it_fails():
    began = []

    def interrupt(line):
        began.append(line)
        commands.stop_all()

    with pytest.raises(CommandError, match="ended with -15"):
        run(["sh", "-c", "echo began; exec sleep 60"], line=interrupt)
    assert began == ["began"]


def test_a_commands_lines_go_to_the_log_and_to_whoever_listens(tmp_path):
    lines = []
    log = tmp_path / "log"
    output = run(["sh", "-c", "cat; echo err >&2"], stdin="in\n", log=log, line=lines.append)
    assert output == log.read_text() == "in\nerr\n"
    assert lines == ["in", "err"]


def test_mounts_of_builds_are_found_innermost_first_and_no_others():
    mountinfo = r"""
24 1 254:0 / / rw - ext4 /dev/vda rw
30 24 254:0 /c /home/a\040b/looma/images/storage/root/overlay rw - ext4 /dev/vda rw
31 30 0:40 / /home/a\040b/looma/images/storage/root/overlay/x/merged rw - overlay overlay rw
32 24 0:41 / /home/a\040b/looma-other rw - tmpfs tmpfs rw
"""
    storage = Path("/home/a b/looma/images/storage/root/overlay")
    assert mounts.below(Path("/home/a b/looma"), mountinfo) == [storage / "x/merged", storage]
