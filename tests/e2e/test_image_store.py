"""The store of unpacked images, with a real containerd and images of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_cluster import record
from looma_cluster.builtin import image_store, system_images

pytestmark = pytest.mark.cluster


def programs(folder: Path) -> set[str]:
    """Names of the programs in the layers of a store."""
    layers = folder / "io.containerd.snapshotter.v1.overlayfs/snapshots"
    return {path.name for path in layers.glob("*/fs/*") if path.is_file()}


def test_a_store_follows_its_images_and_what_was_planted_stays(
    builtin: record.Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = system_images.images()
    pause, metrics = images["looma-pause"], images["looma-metrics-server"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "looma").mkdir(parents=True)
    log, target = tmp_path / "log", tmp_path / "containerd"
    target.mkdir()

    image_store.ensure({pause.reference: pause.archive}, lambda _: None, log=log)
    assert programs(image_store.folder()) == {"pause"}
    assert image_store.plant(target)

    both = {image.reference: image.archive for image in (pause, metrics)}
    image_store.ensure(both, lambda _: None, log=log)
    assert programs(image_store.folder()) == {"pause", "metrics-server"}

    image_store.ensure({metrics.reference: metrics.archive}, lambda _: None, log=log)
    assert programs(image_store.folder()) == {"metrics-server"}
    assert image_store.current({metrics.reference: metrics.archive})
    assert programs(target) == {"pause"}
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
