"""Making the inputs: once, then from the cache; what was cut off half-way is made again."""

from __future__ import annotations

import gettext
import io
import json
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from looma_cluster.images import assets, dependencies, rootfs, wheel
from looma_cluster.images.catalog import POSTGRES, PYTHON
from looma_cluster.images.process import ImageBuildError


class Programs:
    """Stands in for the programs that are run: counts the calls, and makes what each would make."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.version = "1"
        self.fail = False

    def __call__(self, argv: list[str], *, step: str, log: Path, cwd: Path | None = None, **_: Any) -> str:
        self.calls.append(argv)
        if argv[0] == "mmdebstrap":
            time.sleep(0.01)  # Long enough for who comes meanwhile.
            self._root_file_system(Path(next(word for word in argv if word.endswith(".tar"))))
        elif argv[0] == "npm":
            assert cwd is not None
            script = cwd / "node_modules" / "a" / "dist" / "a.min.js"
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text("a()")
        elif "hatchling" in argv:
            folder = Path(argv[argv.index("--directory") + 1])
            folder.mkdir(parents=True)
            (folder / "looma-1.whl").touch()
        elif "--target" in argv:
            target = Path(argv[argv.index("--target") + 1])
            (target / "numpy" / "tests").mkdir(parents=True)
            (target / "numpy" / "core.py").touch()
        if self.fail:
            raise ImageBuildError(step)
        return ""

    def _root_file_system(self, path: Path) -> None:
        status = f"Package: a\nVersion: {self.version}\n".encode()
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo("./var/lib/dpkg/status")
            info.size = len(status)
            tar.addfile(info, io.BytesIO(status))


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs()
    for module in (assets, dependencies, rootfs, wheel):
        monkeypatch.setattr(module, "run", made)
    return made


def test_a_root_file_system_is_made_once(programs: Programs, tmp_path: Path) -> None:
    first = rootfs.make(PYTHON, cache=tmp_path)
    assert rootfs.make(PYTHON, cache=tmp_path) == first
    assert len(programs.calls) == 1
    assert rootfs.make(POSTGRES, cache=tmp_path).identity != first.identity


def test_two_who_want_one_at_once_have_it_made_once(programs: Programs, tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        made = list(pool.map(lambda _: rootfs.make(PYTHON, cache=tmp_path), range(4)))
    assert len(programs.calls) == 1
    assert len({one.identity for one in made}) == 1


def test_a_fresh_one_is_another_only_if_debian_has_changed(programs: Programs, tmp_path: Path) -> None:
    first = rootfs.make(PYTHON, cache=tmp_path)
    assert rootfs.make(PYTHON, cache=tmp_path, fresh=True) == first
    programs.version = "1+deb13u1"
    assert rootfs.make(PYTHON, cache=tmp_path, fresh=True).identity != first.identity


def test_what_was_cut_off_is_not_taken_for_whole(programs: Programs, tmp_path: Path) -> None:
    programs.fail = True
    with pytest.raises(ImageBuildError):
        rootfs.make(PYTHON, cache=tmp_path)
    with pytest.raises(ImageBuildError):
        dependencies.install("operator.txt", cache=tmp_path)
    programs.fail = False
    assert rootfs.make(PYTHON, cache=tmp_path).archive.is_file()
    assert (dependencies.install("operator.txt", cache=tmp_path) / "numpy" / "core.py").is_file()


def test_dependencies_are_installed_once_for_the_images_python_and_pruned(
    programs: Programs, tmp_path: Path
) -> None:
    folder = dependencies.install("operator.txt", cache=tmp_path)
    assert dependencies.install("operator.txt", cache=tmp_path) == folder
    (call,) = programs.calls
    for word in ("--require-hashes", "--no-deps", ":all:", dependencies.PYTHON_VERSION):
        assert word in call
    assert [path.name for path in (folder / "numpy").iterdir()] == ["core.py"]


def test_the_index_of_pip_is_told_to_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert dependencies.package_index() == {}
    monkeypatch.setenv("UV_DEFAULT_INDEX", "its own matter")
    assert dependencies.package_index() == {}


def test_the_wheel_is_built_anew_each_time(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    (tmp_path / "wheel" / "looma-0.whl").touch()
    assert wheel.build(cache=tmp_path).name == "looma-1.whl"


@pytest.fixture
def console(tmp_path: Path) -> Path:
    """A console's sources: one script of npm's, one catalogue."""
    folder = tmp_path / "console"
    messages = folder / "looma_console" / "translations" / "zh" / "LC_MESSAGES"
    messages.mkdir(parents=True)
    text = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Upload"\nmsgstr "上传"\n'
    (messages / "messages.po").write_text(text, encoding="utf-8")
    vendor = {"looma": {"vendor": {"a/dist/a.min.js": "a.js"}}}
    (folder / "package.json").write_text(json.dumps(vendor))
    (folder / "package-lock.json").write_text("{}")
    return folder


def test_scripts_and_catalogues_are_made_once(programs: Programs, tmp_path: Path, console: Path) -> None:
    assets.make(cache=tmp_path, console=console)
    assert (console / "looma_console" / "static" / "vendor" / "a.js").read_text() == "a()"
    with (console / "looma_console/translations/zh/LC_MESSAGES/messages.mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Upload") == "上传"
    assets.make(cache=tmp_path, console=console)
    assert len(programs.calls) == 1
    assert "--ignore-scripts" in programs.calls[0]


def test_another_lock_fetches_the_scripts_again(programs: Programs, tmp_path: Path, console: Path) -> None:
    assets.make(cache=tmp_path, console=console)
    (console / "package-lock.json").write_text('{"lockfileVersion": 3}')
    assets.make(cache=tmp_path, console=console)
    assert len(programs.calls) == 2


def test_a_listed_script_that_npm_did_not_bring_is_named(
    programs: Programs, tmp_path: Path, console: Path
) -> None:
    (console / "package.json").write_text('{"looma": {"vendor": {"b/b.js": "b.js"}}}')
    with pytest.raises(ImageBuildError, match=r"b/b\.js"):
        assets.make(cache=tmp_path, console=console)
