"""What goes into an image: the parts of the wheel, the pruned dependencies, the console's assets, Debian's packages."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from looma_cluster.images import assets, dependencies, rootfs, wheel
from looma_cluster.images.catalog import POSTGRES, PROJECT, PYTHON, RECIPES, Recipe
from looma_cluster.images.process import ImageBuildError, run

ENTRY_POINTS = """[console_scripts]
looma-engine = looma_engines.main:main
looma-migrate = looma_core.db.migrate:main
looma-operator = looma_operator.main:main

[looma.migrations]
console = looma_console.migrations
resume = looma_engines.resume.migrations
"""


@pytest.fixture
def built_wheel(tmp_path: Path) -> Path:
    path = tmp_path / "looma-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (
            *("looma_core/__init__.py", "looma_engines/main.py", "looma_operator/main.py"),
            *(
                "looma_console/__init__.py",
                "looma_console/app.py",
                "looma_console/migrations/versions/one.py",
            ),
        ):
            archive.writestr(name, f"# {name}")
        archive.writestr(
            "looma-1.dist-info/METADATA", "Metadata-Version: 2.4\nName: looma\nVersion: 1\n\nA page."
        )
        archive.writestr("looma-1.dist-info/entry_points.txt", ENTRY_POINTS)
    return path


def recipe(name: str) -> Recipe:
    return next(recipe for recipe in RECIPES if recipe.name == name)


@pytest.mark.parametrize(
    ("path", "packages", "answer"),
    [
        ("looma_core/auth.py", ("looma_core",), True),
        ("looma_core_extra/x.py", ("looma_core",), False),
        ("looma_console/routes.py", ("looma_console/migrations",), False),
        ("looma_console/migrations/env.py", ("looma_console/migrations",), True),
    ],
)
def test_which_files_belong(path: str, packages: tuple[str, ...], answer: bool) -> None:
    assert wheel.belongs(path, packages) is answer


def test_the_engine_image_has_the_engines_and_all_migrations_and_no_more(
    built_wheel: Path, tmp_path: Path
) -> None:
    folder = wheel.unpack(built_wheel, recipe("looma-engine"), tmp_path / "code")
    files = {str(path.relative_to(folder / wheel.SITE)) for path in (folder / wheel.SITE).rglob("*.py")}
    assert files == {
        *("looma_core/__init__.py", "looma_engines/main.py"),
        *("looma_console/__init__.py", "looma_console/migrations/versions/one.py"),
    }
    assert {path.name for path in (folder / "bin").iterdir()} == {"main", "looma-engine", "looma-migrate"}
    assert (folder / "bin" / "main").readlink() == Path("looma-engine")


def test_the_gateways_image_has_the_command_and_not_the_engines(built_wheel: Path, tmp_path: Path) -> None:
    folder = wheel.unpack(built_wheel, recipe("looma-gateway"), tmp_path / "code")
    files = {str(path.relative_to(folder / wheel.SITE)) for path in (folder / wheel.SITE).rglob("*.py")}
    assert files == {"looma_core/__init__.py", "looma_engines/main.py"}
    assert "looma-engine" in {path.name for path in (folder / "bin").iterdir()}
    kept = next((folder / wheel.SITE).glob("*/entry_points.txt")).read_text()
    assert "looma_engines.main" in kept
    assert "[looma.migrations]" not in kept


def test_the_metadata_has_the_plugins_of_this_image_and_no_page(built_wheel: Path, tmp_path: Path) -> None:
    folder = wheel.unpack(built_wheel, recipe("looma-operator"), tmp_path / "code")
    info = folder / wheel.SITE / "looma-1.dist-info"
    assert (info / "METADATA").read_text() == "Metadata-Version: 2.4\nName: looma\nVersion: 1\n"
    kept = (info / "entry_points.txt").read_text()
    assert "looma_operator.main" in kept
    assert "migrations" not in kept


def test_a_command_is_executable_and_runs_its_function(tmp_path: Path) -> None:
    path = tmp_path / "looma-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("looma_core/__init__.py", "")
        archive.writestr("looma_core/hello.py", "def main():\n    print('hello')\n    return 3\n")
        archive.writestr("looma-1.dist-info/METADATA", "Name: looma\nVersion: 1\n")
        archive.writestr(
            "looma-1.dist-info/entry_points.txt", "[console_scripts]\nhi = looma_core.hello:main\n"
        )
    folder = wheel.unpack(path, recipe("looma-operator"), tmp_path / "code")
    script = folder / "bin" / "hi"
    assert script.stat().st_mode & 0o111
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(folder / wheel.SITE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "hello\n")


def test_unused_files_go_and_what_is_read_at_run_time_stays(tmp_path: Path) -> None:
    keep = ["numpy/core.py", "numpy/testing/x.py", "thinc/kernels.cu", "lib/deep/tests/data.py", "a/x.so"]
    drop = [
        "numpy/tests/test_a.py",
        "bin/f2py",
        "spacy/tokens.pyx",
        "spacy/tokens.cpp",
        "a/b.pyi",
        "numpy/tests/x.c",
    ]
    for name in (*keep, *drop):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    gone = dependencies.unused(tmp_path)
    assert {n for n in keep if any((tmp_path / n).is_relative_to(g) for g in gone)} == set()
    assert {n for n in drop if not any((tmp_path / n).is_relative_to(g) for g in gone)} == set()
    # Nothing is named twice: a folder that is removed takes its files along.
    assert [g for g in gone for other in gone if g != other and g.is_relative_to(other)] == []


@pytest.mark.parametrize("name", sorted({recipe.lock for recipe in RECIPES if recipe.lock}))
def test_every_lock_has_hashes_and_no_address(name: str) -> None:
    lock = (PROJECT / "locks" / name).read_text()
    assert "://" not in lock
    assert lock.count("==") <= lock.count("--hash=sha256:")


def test_the_root_file_system_asks_for_what_the_containerfile_needs() -> None:
    argv = rootfs.command(PYTHON, Path("out.tar"), None)
    assert argv[0] == "mmdebstrap"
    assert argv[-2:] == [rootfs.SUITE, "out.tar"]
    assert any("python3.13" in word for word in argv)
    assert (
        rootfs.command(PYTHON, Path("out.tar"), "http://mirror.test/debian")[-1]
        == "http://mirror.test/debian"
    )


def test_the_paths_to_trim_stay_inside_of_usr_and_var() -> None:
    assert POSTGRES.trim is not None
    lines = POSTGRES.trim.read_text().splitlines()
    assert lines
    assert [line for line in lines if not line.startswith(("/usr/", "/var/")) or ".." in line] == []


def test_packages_are_read_from_a_root_file_system(tmp_path: Path) -> None:
    status = "Package: b\nStatus: install ok installed\nVersion: 2\n\nPackage: a\nVersion: 1:1-1\nDescription: x\n y\n"
    path = tmp_path / "rootfs.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("./var/lib/dpkg/status")
        info.size = len(status)
        tar.addfile(info, io.BytesIO(status.encode()))
    assert rootfs.installed_packages(path) == "a=1:1-1\nb=2"


def test_the_console_lists_its_scripts_and_npm_pins_them() -> None:
    package = (assets.CONSOLE / "package.json").read_text()
    listed = assets.vendored(package)
    assert listed
    lock = json.loads((assets.CONSOLE / "package-lock.json").read_text())
    for path in listed:
        entry = lock["packages"][f"node_modules/{path.split('/dist/')[0]}"]
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry


def test_a_failed_step_names_itself_its_log_and_the_cure(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "step.log"
    script = "import sys; print('the cause'); sys.exit(7)"
    with pytest.raises(ImageBuildError) as caught:
        run([sys.executable, "-c", script], step="baking", log=log, cure="Is there flour?")
    message = str(caught.value)
    assert all(word in message for word in ("baking", "the cause", str(log), "Is there flour?", "7"))
    assert "the cause" in log.read_text()


def test_a_missing_program_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageBuildError, match="no-such-program"):
        run(["no-such-program"], step="baking", log=tmp_path / "log")
