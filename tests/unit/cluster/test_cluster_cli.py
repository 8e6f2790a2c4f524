"""What a person types and is told; the work behind it is replaced."""

from __future__ import annotations

import json

import httpx
import pytest
import respx
import yaml
from typer.testing import CliRunner

from looma_cluster import access, cli, doctor, images, lifecycle, logs, record
from looma_cluster.choose import Kind
from looma_cluster.doctor import Finding
from looma_cluster.kubernetes import Kubectl
from looma_cluster.record import Record
from looma_cluster.status import Service, Status

READY = Status(
    name="one",
    cluster="builtin",
    environment="dev",
    running=True,
    ready=True,
    address="http://127.0.0.1:8099",
    services=[Service(name="resume", ready=True, phase="Ready", revision="r1")],
)


def looma(*words):
    return CliRunner().invoke(cli.app, [*words], catch_exceptions=False)


@pytest.fixture
def lived(instance, monkeypatch):
    """An instance that is ready, with a record, a first password and an issuer."""
    record.save(instance, Record(cluster="builtin"))
    secrets = {"looma-console": {"admin-password": b"first"}, "looma-issuer": {"private.pem": b"key"}}
    monkeypatch.setattr(Kubectl, "secret", lambda self, name: secrets[name])
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: READY)
    monkeypatch.setattr(access, "token", lambda kubectl, *, role, tenant: f"token-of-{role}-in-{tenant}")
    return instance


@pytest.fixture
def brought(monkeypatch):
    """What `lifecycle.up` was asked for."""
    asked = []

    def up(instance, **named):
        asked.append((instance.name, named))
        return Record(cluster="builtin", environment=named["environment"] or "dev")

    monkeypatch.setattr(lifecycle, "up", up)
    return asked


def test_up_ends_with_the_address_and_the_first_password(lived, brought):
    told = looma("up", "--name", "one", "--cluster", "builtin")
    assert told.exit_code == 0
    assert "http://127.0.0.1:8099" in told.output
    assert "First login: admin / first" in told.output
    assert f"export KUBECONFIG={lived.kubeconfig}" in told.output
    assert brought == [("one", {"wanted": Kind.BUILTIN, "environment": None, "with_release": True})]


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_password_is_shown_in_dev_alone(lived, brought, environment):
    told = looma("up", "--name", "one", "--environment", environment)
    assert "first" not in told.output


def test_a_bare_cluster_says_how_to_reach_it_and_asks_nothing_of_looma(lived, brought, monkeypatch):
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: pytest.fail("asked for Looma"))
    told = looma("up", "--name", "one", "--without-release")
    assert f"KUBECONFIG={lived.kubeconfig}" in told.output
    assert brought[0][1]["with_release"] is False


@pytest.mark.parametrize(
    ("options", "purge", "says"),
    [([], False, "data are kept"), (["--purge"], True, "data are gone"), (["--no-purge"], False, "kept")],
)
def test_down_says_what_became_of_the_data(lived, monkeypatch, options, purge, says):
    def down(instance, report, *, purge):
        report("kubelet")
        return asked.append(purge) or True

    asked = []
    monkeypatch.setattr(lifecycle, "down", down)
    told = looma("down", "--name", "one", *options)
    assert asked == [purge]
    assert says in told.output
    assert "stopping kubelet" in told.output


@pytest.mark.parametrize("ready", [True, False])
def test_the_exit_code_tells_programs_what_the_text_tells_people(lived, monkeypatch, ready):
    document = Status(name="one", cluster="builtin", environment="dev", running=True, ready=ready)
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: document)
    text, parsed = looma("status", "--name", "one"), looma("status", "--name", "one", "-o", "json")
    assert text.exit_code == parsed.exit_code == (0 if ready else 1)
    assert text.output.startswith(f"one: {'ready' if ready else 'not ready'}")
    assert json.loads(parsed.output)["ready"] is ready


def test_logs_become_the_program_that_shows_them(lived, monkeypatch):
    became = []
    monkeypatch.setattr(logs.os, "execvp", lambda program, words: became.append(words))
    (lived.logs / "kubelet.log").write_text("")
    assert looma("logs", "kubelet", "--name", "one", "--lines", "7", "-f").exit_code == 0
    assert became == [["tail", "-n", "7", "-F", str(lived.logs / "kubelet.log")]]


def test_saved_logs_are_a_folder_and_the_names_of_what_is_missing(lived, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(logs, "save", lambda instance, folder: asked.append(folder) or ["pods.txt: refused"])
    told = looma("logs", "--name", "one", "--save", str(tmp_path / "report"))
    assert asked == [tmp_path / "report"]
    assert told.stdout.splitlines()[-1] == str(tmp_path / "report")
    assert "missing: pods.txt: refused" in told.output


FINDINGS = [
    Finding(check="rights", good=True, found="root", help="use sudo"),
    Finding(check="disk", good=False, found="1 GB free", help="make room"),
]


def test_the_doctor_tells_what_helps_where_something_is_wrong(instance, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda instance: FINDINGS)
    told = looma("doctor", "--name", "one")
    assert told.exit_code == 1
    assert told.output.splitlines() == ["ok  rights: root", "BAD disk: 1 GB free", "      make room"]


def test_the_doctor_is_content_where_nothing_is(instance, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda instance: FINDINGS[:1])
    told = looma("doctor", "--name", "one", "-o", "json")
    assert told.exit_code == 0
    assert json.loads(told.output)[0] == {
        "check": "rights",
        "good": True,
        "found": "root",
        "help": "use sudo",
    }


@pytest.mark.parametrize(
    ("options", "only"),
    [
        ([], ["binaries", "images"]),
        (["--only", "images"], ["images"]),
        (["--only", "images", "--only", "binaries"], ["images", "binaries"]),
    ],
)
def test_build_makes_everything_unless_told(instance, monkeypatch, options, only):
    asked = []
    monkeypatch.setattr(lifecycle, "build", lambda *, only: asked.append(only))
    assert looma("build", *options).exit_code == 0
    assert asked == [only]


def test_pushed_images_are_written_where_the_chartfile_reads_them(instance, monkeypatch, tmp_path):
    pushed_to = []

    def push(built, registry, *, cache, report):
        pushed_to.append((built, registry))
        return "pushed"

    monkeypatch.setattr(cli.paths, "ROOT", tmp_path)
    monkeypatch.setattr(images, "build", lambda *, cache, report: report("building") or "built")
    monkeypatch.setattr(images, "push", push)
    monkeypatch.setattr(images, "values", lambda pushed: {"image": pushed})
    told = looma("images", "push", "registry.example.org/looma/")
    assert pushed_to == [("built", "registry.example.org/looma")]
    assert yaml.safe_load((tmp_path / "images.yaml").read_text()) == {"image": "pushed"}
    assert str(tmp_path / "images.yaml") in told.output


def test_a_token_is_the_only_thing_on_the_output(lived):
    told = looma("token", "--name", "one", "--role", "operator", "--tenant", "acme")
    assert told.stdout == "token-of-operator-in-acme\n"


@respx.mock
def test_demonstration_data_are_removed_as_an_administrator_of_their_tenant(lived):
    listed = respx.get("http://127.0.0.1:8099/api/v1/talents")
    listed.respond(json={"items": [{"id": "a", "version": 1}], "next_cursor": None})
    respx.delete("http://127.0.0.1:8099/api/v1/talents/a").respond(204)
    told = looma("demo", "remove", "--name", "one", "--tenant", "acme")
    assert told.output == "1 people removed\n"
    assert listed.calls[0].request.headers["Authorization"] == "Bearer token-of-admin-in-acme"


def test_demonstration_data_are_loaded_into_the_instance(lived, monkeypatch):
    asked = []
    monkeypatch.setattr(access, "load_demo", lambda kubectl: asked.append(kubectl.instance))
    assert looma("demo", "load", "--name", "one").output == "loaded\n"
    assert asked == [lived]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (lifecycle.NotRootError("use sudo"), 1, "looma: use sudo"),
        (httpx.ConnectError("refused"), 1, "looma: refused"),
        (KeyboardInterrupt(), 130, "run it again"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(monkeypatch, capsys, error, code, says):
    def fail():
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert says in capsys.readouterr().err


def test_a_bug_shows_where_it_is(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main()
