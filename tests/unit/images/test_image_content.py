"""Tags: the same inputs give the same one, and each input counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_cluster.images.content import TAG_LENGTH, digest, tree


def test_a_tag_is_short_and_repeats() -> None:
    parts = [("a", b"1"), ("b", b"2")]
    assert digest(parts) == digest(iter(parts))
    assert len(digest(parts)) == TAG_LENGTH


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([("a", b"1"), ("b", b"3")], id="another content"),
        pytest.param([("a", b"1"), ("c", b"2")], id="another name"),
        pytest.param([("b", b"2"), ("a", b"1")], id="another order"),
        pytest.param([("a", b"1b"), ("", b"2")], id="the same bytes, cut elsewhere"),
        pytest.param([("a", b"1")], id="one part less"),
    ],
)
def test_every_part_counts(other: list[tuple[str, bytes]]) -> None:
    assert digest(other) != digest([("a", b"1"), ("b", b"2")])


def test_a_tree_is_read_in_one_order_with_its_links_and_executables(tmp_path: Path) -> None:
    (tmp_path / "z").write_text("last")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "run").write_text("#!")
    (tmp_path / "folder" / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("z")
    assert list(tree(tmp_path)) == [("folder/run*", b"#!"), ("link@", b"z"), ("z", b"last")]


def test_a_lost_executable_bit_is_a_change(tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text("#!")
    script.chmod(0o755)
    before = digest(tree(tmp_path))
    script.chmod(0o644)
    assert digest(tree(tmp_path)) != before
