"""Counts and checksums of what a second reading finds: alike where all is held, whatever the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from looma_engines.talent_sync.syncing.source_row import SourceRow
from looma_engines.talent_sync.syncing.verifying import Looked, missing


def row(position: int, text: str) -> SourceRow:
    return SourceRow(position=position, key=str(position), values={}, raw=text.encode())


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=20)


@given(texts=TEXTS, seed=st.randoms(use_true_random=False), cut=st.integers(0, 20))
def test_checksums_do_not_depend_on_the_order_nor_on_the_batches(texts, seed, cut) -> None:
    rows = [row(position, text) for position, text in enumerate(texts)]
    stored = {one.position: one.digest for one in rows}
    whole = Looked.of(rows, stored)
    assert (whole.looked, whole.held, whole.source) == (len(rows), len(rows), whole.stored)
    mixed = rows.copy()
    seed.shuffle(mixed)
    assert Looked.of(mixed[:cut], stored) + Looked.of(mixed[cut:], stored) == whole


@given(texts=TEXTS, at=st.integers(0, 19), other=st.one_of(st.none(), st.binary(min_size=16, max_size=16)))
def test_one_record_that_is_gone_or_another_is_counted_and_changes_the_sum(texts, at, other) -> None:
    rows = [row(position, text) for position, text in enumerate(texts)]
    stored = {one.position: one.digest for one in rows}
    lost = rows[at % len(rows)]
    del stored[lost.position]
    if other is not None:
        stored[lost.position] = other
    found = Looked.of(rows, stored)
    assert missing(rows, stored) == [lost]
    assert found.held == found.looked - 1
    assert found.stored != found.source
    assert found.kept()["stored_checksum"] != found.kept()["source_checksum"]


def test_it_is_kept_as_hexadecimal_digits() -> None:
    assert Looked(looked=2, held=1, source=255, stored=0).kept() == {
        "looked": 2,
        "held": 1,
        "source_checksum": "00000000000000ff",
        "stored_checksum": "0000000000000000",
    }
