"""The store of unpacked images: what is linked, what is copied, and when it is used. Containerd's part is in e2e."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from looma_cluster import paths
from looma_cluster.builtin import image_store

ARCHIVES = {"localhost/b:1": Path("b.tar"), "localhost/a:1": Path("a.tar")}
SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs"
LAYER = f"{SNAPSHOTS}/snapshots/1/fs/bin/program"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store as containerd leaves it, in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = image_store.folder()
    files = {
        LAYER: "program",
        f"{SNAPSHOTS}/metadata.db": "snapshots",
        "io.containerd.content.v1.content/blobs/sha256/00": "layer",
        str(image_store.DATABASE): "images",
        "looma-images": "localhost/a:1\nlocalhost/b:1\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_a_planted_store_shares_layers_and_has_databases_of_its_own(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "containerd"
    target.mkdir()
    assert image_store.is_new(target)
    assert image_store.plant(target)
    assert not image_store.is_new(target)
    assert inode(target / LAYER) == inode(store / LAYER)
    for database in (str(image_store.DATABASE), f"{SNAPSHOTS}/metadata.db"):
        assert (target / database).read_text() == (store / database).read_text()
        assert inode(target / database) != inode(store / database)


def test_a_planting_that_was_cut_off_is_done_again_from_the_start(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "containerd"
    (target / SNAPSHOTS).mkdir(parents=True)
    (target / SNAPSHOTS / "half").write_text("")
    (target / "looma-images").write_text("")
    assert image_store.is_new(target)
    assert image_store.plant(target)
    assert not (target / SNAPSHOTS / "half").exists()
    assert (target / LAYER).read_text() == "program"


def test_the_list_of_images_stays_with_the_store(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "containerd"
    target.mkdir()
    image_store.plant(target)
    assert not (target / "looma-images").exists()


def test_nothing_is_planted_where_there_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths.cache().mkdir(parents=True, exist_ok=True)
    target = tmp_path / "containerd"
    target.mkdir()
    assert not image_store.plant(target)
    assert image_store.is_new(target)


@pytest.mark.parametrize(("number", "answer"), [(errno.EXDEV, False), (errno.ENOSPC, None)])
def test_another_file_system_is_no_error_and_a_full_one_is(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, answer: bool | None
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    target = tmp_path / "containerd"
    target.mkdir()
    attempt: Callable[[], bool] = lambda: image_store.plant(target)  # noqa: E731
    if answer is None:
        with pytest.raises(OSError, match="refused"):
            attempt()
    else:
        assert attempt() is answer


@pytest.mark.parametrize(
    ("archives", "answer"),
    [
        pytest.param(ARCHIVES, True, id="the same images in another order"),
        pytest.param({"localhost/a:1": Path("a.tar")}, False, id="one fewer"),
        pytest.param({**ARCHIVES, "localhost/a:2": Path("a.tar")}, False, id="one more"),
    ],
)
def test_a_store_is_current_for_just_its_images(store: Path, archives: dict[str, Path], answer: bool) -> None:
    assert image_store.current(archives) is answer


def test_a_current_store_is_left_alone(store: Path, tmp_path: Path) -> None:
    before = inode(store)
    image_store.ensure(ARCHIVES, lambda _: None, log=tmp_path / "log")
    assert inode(store) == before


def test_its_containerd_has_no_cri_and_stays_in_its_folders(tmp_path: Path) -> None:
    text = image_store.configuration(root=Path("/cache/store"), state=tmp_path)
    assert 'root = "/cache/store"' in text
    assert f'address = "{tmp_path}/socket"' in text
    assert '"io.containerd.grpc.v1.cri"' in text.partition("disabled_plugins")[2].splitlines()[0]
