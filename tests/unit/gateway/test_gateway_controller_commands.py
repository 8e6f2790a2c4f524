"""`looma-engine gateway` and `gateway-init`: settings, the first configuration, and an end in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from looma_core.settings import SettingsError, load, load_config
from looma_engines import main as engines
from looma_engines.gateway import main as commands
from looma_engines.gateway.applying import BELIEVED, CONFIGURATION
from looma_engines.gateway.model import DataPlane
from looma_engines.gateway.settings import GatewayConfig, GatewaySettings
from looma_engines.gateway.translate import Here


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a gateway's settings, and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("LOOMA_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "LOOMA_SERVICE": "gateway",
        "LOOMA_POD": "pod-a",
        "LOOMA_GATEWAY_FOLDER": str(tmp_path / "run"),
        "LOOMA_GATEWAY_CONTROLLER_PORT": "0",
        "LOOMA_CONFIG": '{"maxConnections": 1234}',
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(commands.logging, "configure", lambda **_named: None)
    return tmp_path / "run"


def looma_engine(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("sys.argv", ["looma-engine", command])
    engines.main()


def test_the_first_configuration_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looma_engine(monkeypatch, "gateway-init")
    text = (folder / CONFIGURATION).read_text()
    assert "maxconn 1234" in text
    assert "hard-stop-after 600s" in text
    assert f"nbthread {max(2, len(os.sched_getaffinity(0)) // 2)}\n" in text
    plane = msgspec.json.decode((folder / BELIEVED).read_bytes(), type=DataPlane)
    assert plane == DataPlane(ready=False, pod="pod-a")


@pytest.mark.parametrize(
    ("config", "processors", "threads"), [({}, 1, 2), ({}, 2, 2), ({}, 9, 4), ({"threads": 1}, 8, 1)]
)
def test_threads_are_half_the_processors_and_two_at_least_unless_they_are_set(
    config: dict[str, int], processors: int, threads: int
) -> None:
    assert GatewayConfig(**config).threads_of(processors) == threads


@pytest.mark.parametrize("command", ["gateway", "gateway-init"])
@pytest.mark.parametrize(
    "wrong",
    [
        "LOOMA_GATEWAY_HTTP_PORT=no",
        'LOOMA_CONFIG={"maxConnection": 1}',
        'LOOMA_CONFIG={"hardStopSeconds": 0}',
        'LOOMA_CONFIG={"threads": 0}',
    ],
)
def test_wrong_settings_end_it_with_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    command: str,
    wrong: str,
) -> None:
    variable, value = wrong.split("=", 1)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        looma_engine(monkeypatch, command)
    assert ended.value.code == 2
    assert variable in capsys.readouterr().err
    assert not folder.exists()


def test_settings_say_where_it_is() -> None:
    environ = {
        "LOOMA_NAMESPACE": "blue",
        "LOOMA_SERVICE": "edge",
        "LOOMA_POD": "edge-1",
        "LOOMA_POD_ADDRESS": "10.0.0.7",
        "LOOMA_GATEWAY_CLASS": "mine",
        "LOOMA_JWT_ISSUER": "i",
        "LOOMA_JWT_AUDIENCE": "a",
    }
    settings = load(GatewaySettings, environ)
    assert settings.here() == Here(
        namespace="blue",
        service="edge",
        pod="edge-1",
        address="10.0.0.7",
        class_name="mine",
        issuer="i",
        audience="a",
    )
    assert settings.all_namespaces() == ["blue"]
    several = load(GatewaySettings, {**environ, "LOOMA_NAMESPACES": "red, blue,red"})
    assert several.all_namespaces() == ["blue", "red"]
    with pytest.raises(SettingsError, match="LOOMA_NAMESPACES"):
        load(GatewaySettings, {"LOOMA_NAMESPACES": "Red!"})
    assert load_config("{}", GatewayConfig) == GatewayConfig()


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to an API server that is not there."""
    path = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "u", "user": {}}],
        "contexts": [context],
        "current-context": "x",
    }
    path.write_bytes(msgspec.json.encode(document))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))


@pytest.mark.usefixtures("kubeconfig")
async def test_it_waits_for_what_is_away_and_ends_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Seen(commands.Health):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            seen.append(self)

    monkeypatch.setattr(commands, "Health", Seen)
    monkeypatch.setenv("LOOMA_HOST", "127.0.0.1")
    monkeypatch.setenv("LOOMA_JWKS_URL", "http://127.0.0.1:1/jwks")
    settings = load(GatewaySettings)
    haproxy = commands.RealHaproxy(settings.folder())
    task = asyncio.create_task(commands.run(settings, haproxy))
    async with asyncio.timeout(20):
        # What it waits for is its own state, which tells nobody.
        while not seen or not any("/httproutes" in path for path in seen[0].waits_for):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (folder / CONFIGURATION).exists()
    assert not task.done()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        await task


@pytest.mark.usefixtures("kubeconfig")
async def test_a_part_that_ends_ends_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise OSError("port is taken")

    monkeypatch.setattr(commands, "serve", broken)
    monkeypatch.setenv("LOOMA_JWKS_URL", "http://127.0.0.1:1/jwks")
    settings = load(GatewaySettings)
    with pytest.raises(OSError, match="port is taken"):
        await commands.run(settings, commands.RealHaproxy(settings.folder()))


def test_the_commands_need_no_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The gateway's image holds none of their libraries.
    for name in ("spacy", "sqlalchemy", "litestar", "granian"):
        monkeypatch.setitem(sys.modules, name, None)
    looma_engine(monkeypatch, "gateway-init")
    assert (folder / CONFIGURATION).exists()
