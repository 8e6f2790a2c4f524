"""Building and naming images: what is asked of buildah and Docker, and what of it is left out when it is there."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from looma_cluster.images import Image, make, values
from looma_cluster.images.builders import Buildah, Docker, build_arguments
from looma_cluster.images.catalog import CONTAINERFILES, RECIPES, Recipe
from looma_cluster.images.rootfs import BuiltRootFs

ENGINE = next(recipe for recipe in RECIPES if recipe.name == "looma-engine")
DATABASE = next(recipe for recipe in RECIPES if recipe.name == "looma-postgres")
RECORDER = """#!/bin/sh
printf '%s\\n' "$*" >> "{record}"
for word in "$@"; do
  case "$word" in docker-archive:*) file=${{word#docker-archive:}}; echo made > "${{file%%:*}}";; esac
done
if [ "$1" = save ]; then echo made > "$3"; fi
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Buildah and Docker that write down what they are asked for."""
    record = tmp_path / "asked"
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("buildah", "docker"):
        program = folder / name
        program.write_text(RECORDER.format(record=record))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    record.touch()
    return record


@pytest.fixture
def bases(tmp_path: Path) -> Mapping[str, BuiltRootFs]:
    archive = tmp_path / "rootfs.tar"
    archive.write_text("a root file system")
    return {recipe.base.name: BuiltRootFs(archive=archive, identity="0abc") for recipe in RECIPES}


def asked(record: Path) -> list[str]:
    return record.read_text().splitlines()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_has_its_files(recipe: Recipe) -> None:
    text = (CONTAINERFILES / recipe.containerfile).read_text()
    assert "ARG BASE\nFROM ${BASE}" in text
    assert "USER 65532:65532" in text
    assert ("/opt/looma/bin/main" in text) is (recipe.command is not None)
    if recipe.context:
        assert recipe.context.is_dir()


def test_buildah_and_docker_are_asked_for_the_same_build(tmp_path: Path) -> None:
    contexts = {"dependencies": tmp_path / "d", "code": tmp_path / "c"}
    words = build_arguments(ENGINE, "base:1", contexts)
    assert words == [
        *("--build-arg", "BASE=base:1", "--file", str(CONTAINERFILES / "python.Containerfile")),
        *("--build-context", f"code={tmp_path / 'c'}", "--build-context", f"dependencies={tmp_path / 'd'}"),
        str(tmp_path / "c"),
    ]


def test_an_image_of_packages_alone_is_built_without_further_files() -> None:
    prometheus = next(recipe for recipe in RECIPES if recipe.name == "looma-prometheus")
    assert build_arguments(prometheus, "base:1", {}) == [
        *("--build-arg", "BASE=base:1", "--file", str(CONTAINERFILES / "prometheus.Containerfile")),
        str(CONTAINERFILES),
    ]


def test_buildah_works_on_a_storage_of_its_own(
    tmp_path: Path, programs: Path, bases: dict[str, BuiltRootFs]
) -> None:
    archive = tmp_path / "image.tar"
    Buildah(cache=tmp_path, bases=bases).build(DATABASE, "localhost/looma-postgres:1", {}, archive)
    lines = asked(programs)
    assert archive.read_text() == "made\n"
    storage = f"--root {tmp_path}/storage/root --runroot {tmp_path}/storage/run --storage-driver overlay"
    assert lines
    assert [line for line in lines if not line.startswith(storage)] == []
    # The root file system is imported before it is built upon.
    built = [line for line in lines if " build " in line]
    assert ["base.Containerfile" in line for line in built] == [True, False]
    assert "BASE=localhost/looma-base-postgres:0abc" in built[1]


def test_docker_builds_on_official_images(tmp_path: Path, programs: Path) -> None:
    archive = tmp_path / "image.tar"
    Docker(cache=tmp_path).build(ENGINE, "localhost/looma-engine:1", {"code": tmp_path}, archive)
    build, save = asked(programs)
    assert build.startswith("buildx build --load")
    assert "BASE=python:3.13-slim-trixie" in build
    assert save == f"save --output {archive} localhost/looma-engine:1"


@pytest.mark.parametrize(
    ("destination", "plain"),
    [
        ("127.0.0.1:5000/looma/looma-engine:1", True),
        ("localhost:5000/looma-engine:1", True),
        ("registry.test/looma/looma-engine:1", False),
    ],
)
def test_only_a_registry_on_this_machine_may_be_without_tls(
    destination: str, plain: bool, tmp_path: Path, programs: Path
) -> None:
    Buildah(cache=tmp_path, bases={}).push(tmp_path / "a.tar", "localhost/looma-engine:1", destination)
    assert ("--tls-verify=false" in asked(programs)[-1]) is plain
    assert asked(programs)[-1].endswith(f"docker://{destination}")


def image(name: str, registry: str = "localhost") -> Image:
    return Image(name=name, reference=f"{registry}/{name}:0123", archive=Path("buildah") / f"{name}-0123.tar")


def test_values_name_registry_and_tags(tmp_path: Path) -> None:
    images = [image("looma-engine", "host.test:5000/looma"), image("looma-postgres", "host.test:5000/looma")]
    assert values(images) == {
        "image": {"registry": "host.test:5000/looma", "tags": {"engine": "0123", "postgres": "0123"}}
    }


def test_push_gives_the_images_their_new_names(tmp_path: Path, programs: Path) -> None:
    said: list[str] = []
    pushed = make.push([image("looma-engine")], "registry.test/looma", cache=tmp_path, report=said.append)
    assert [image.reference for image in pushed] == ["registry.test/looma/looma-engine:0123"]
    assert said == ["pushed registry.test/looma/looma-engine:0123"]


def test_old_archives_go_and_the_newest_stay(tmp_path: Path) -> None:
    for age in range(6):
        path = tmp_path / f"looma-engine-{age}.tar"
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    other = tmp_path / "looma-console-0.tar"
    other.touch()
    make.prune(
        Image(
            name="looma-engine", reference="localhost/looma-engine:5", archive=tmp_path / "looma-engine-5.tar"
        )
    )
    left = {path.name for path in tmp_path.iterdir()}
    # The one in use is the oldest here, and stays all the same.
    assert left == {"looma-engine-5.tar", "looma-engine-0.tar", other.name}


def test_images_without_an_archive_go_from_the_storage(
    tmp_path: Path, bases: dict[str, BuiltRootFs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("looma_cluster.images.builders.KEEP_OLD", 1)
    listed = ["localhost/looma-engine:old", "localhost/looma-engine:new", "<none>:<none>"]
    listed += ["localhost/looma-base-python:0abc", "localhost/looma-base-python:old"]
    asked: list[tuple[str, ...]] = []

    def run(self: Buildah, *arguments: str, step: str, log: str) -> str:
        asked.append(arguments)
        return "\n".join(listed)

    monkeypatch.setattr(Buildah, "_run", run)
    keep = {make.kept_reference(Path("looma-engine-new.tar"))}
    Buildah(cache=tmp_path, bases=bases).forget(keep)
    assert asked[-1] == ("rmi", "localhost/looma-engine:old", "localhost/looma-base-python:old")


class Kitchen:
    """Inputs made in a folder, in place of Debian, uv, npm and hatchling."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, bases: dict[str, BuiltRootFs]) -> None:
        self.source = folder / "engine.py"
        self.source.write_text("one")

        def unpack(_: Path, recipe: Recipe, target: Path) -> Path:
            target.mkdir(parents=True, exist_ok=True)
            text = self.source.read_text() if recipe.name == "looma-engine" else "the same"
            (target / "code.py").write_text(text)
            return target

        monkeypatch.setattr(make.rootfs, "make", lambda base, **_: bases[base.name])
        monkeypatch.setattr(make.dependencies, "install", lambda *_, **__: folder)
        monkeypatch.setattr(make.assets, "make", lambda **_: None)
        monkeypatch.setattr(make.wheel, "build", lambda **_: folder / "wheel")
        monkeypatch.setattr(make.wheel, "unpack", unpack)


def test_a_change_rebuilds_only_the_image_that_has_it(
    tmp_path: Path, programs: Path, bases: dict[str, BuiltRootFs], monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen = Kitchen(tmp_path, monkeypatch, bases)
    said: list[str] = []

    def report(line: str) -> None:
        # What is still being made when it is looked at is told too, and that depends on the threads' order.
        if not line.startswith("making the root file system"):
            said.append(line)

    first = make.build(cache=tmp_path / "cache", report=report)
    assert len(said) == len(RECIPES)
    assert all(image.archive.is_file() for image in first)

    said.clear()
    programs.write_text("")
    assert make.build(cache=tmp_path / "cache", report=report) == first
    assert asked(programs) == []
    assert said == [f"{len(RECIPES)} images are built already"]

    kitchen.source.write_text("two")
    second = make.build(cache=tmp_path / "cache", report=report)
    changed = [new.name for old, new in zip(first, second, strict=True) if old != new]
    assert changed == ["looma-engine"]
