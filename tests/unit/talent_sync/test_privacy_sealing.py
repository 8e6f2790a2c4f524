"""Properties of what seals addresses and numbers: nothing opens but where it was sealed, as it was sealed."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from looma_engines.talent_sync.privacy.ring import Ring, RingError, new_ring, parse, read
from looma_engines.talent_sync.privacy.sealing import PREFIX, Place, Sealer, SealError, key_of

RING, OTHER = parse(new_ring()), parse(new_ring())
SEALER = Sealer(RING)
texts = st.text(max_size=60)
places = st.builds(Place, texts, texts, texts, texts)
SETTING = "LOOMA_KEY_RING_FILE"


@given(texts, places)
@example("", Place("", "", "", ""))
@example("sealed:1:abc:def", Place("t", "talent", "1", "email"))
def test_what_is_sealed_opens_where_it_was_sealed(value: str, place: Place) -> None:
    stored = SEALER.seal(value, place)
    assert stored.startswith(f"{PREFIX}{RING.seal[0].id}:")
    assert key_of(stored) == RING.seal[0].id
    assert SEALER.open(stored, place) == value
    assert SEALER.seal(value, place) == stored, "the database's triggers tell by the text what changed"


@given(texts, places, places)
@example("a", Place("ab", "c", "d", "e"), Place("a", "bc", "d", "e"))
@example("a", Place('a","b', "c", "d", "e"), Place("a", 'b","c', "d", "e"))
def test_it_opens_nowhere_else_and_looks_otherwise_there(value: str, here: Place, there: Place) -> None:
    assume(here != there)
    stored = SEALER.seal(value, here)
    with pytest.raises(SealError, match="does not open"):
        SEALER.open(stored, there)
    assert SEALER.seal(value, there) != stored


@given(texts, places, st.data())
def test_a_changed_sign_is_noticed(value: str, place: Place, data: st.DataObject) -> None:
    stored = SEALER.seal(value, place)
    begin = stored.rindex(":") + 1
    # The last sign may have bits that no byte has.
    at = data.draw(st.integers(begin, len(stored) - 2))
    sign = data.draw(st.sampled_from("AQgwZ_-09").filter(lambda sign: sign != stored[at]))
    with pytest.raises(SealError):
        SEALER.open(stored[:at] + sign + stored[at + 1 :], place)
    with pytest.raises(SealError):
        SEALER.open(stored[: data.draw(st.integers(begin + 1, len(stored) - 1))], place)


@given(texts, places)
def test_another_ring_opens_nothing(value: str, place: Place) -> None:
    stored = SEALER.seal(value, place)
    with pytest.raises(SealError, match=f"under the key {RING.seal[0].id}, which is not in the key ring"):
        Sealer(OTHER).open(stored, place)
    renamed = Ring(seal=(type(OTHER.seal[0])(RING.seal[0].id, OTHER.seal[0].key),), hash=OTHER.hash)
    with pytest.raises(SealError, match="does not open"):
        Sealer(renamed).open(stored, place)


@given(texts, places)
def test_an_old_key_opens_and_the_first_one_seals(value: str, place: Place) -> None:
    noted: list[tuple[str, str]] = []
    both = Sealer(
        Ring(seal=(*OTHER.seal, *RING.seal), hash=OTHER.hash),
        noted=lambda action, key: noted.append((action, key)),
    )
    assert both.open(SEALER.seal(value, place), place) == value
    assert key_of(both.seal(value, place)) == OTHER.seal[0].id
    assert noted == [("open", RING.seal[0].id), ("seal", OTHER.seal[0].id)]


@given(texts.filter(lambda text: not text.startswith(PREFIX)), places)
def test_what_was_never_sealed_is_what_it_says(value: str, place: Place) -> None:
    assert SEALER.open(value, place) == value
    assert key_of(value) is None


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Ada@Mail.Example", "ada@mail.example"),
        ("email", " ada@mail.example ", "ada@mail.example"),
        ("email", "ａｄａ@mail.example", "ada@mail.example"),
        ("phone", "+86 138-0013-8000", "13800138000"),
        ("phone", "(0113) 496 0999", "+44 113 496 0999"),
        ("phone", "+44 113 496 0999 ext. 7", "+44 113 496 0999"),
        ("phone", "12 345", "12345"),
    ],
)
def test_each_way_to_write_it_has_one_hash(kind: str, one: str, other: str) -> None:
    assert SEALER.hash(kind, one, tenant="a") == SEALER.hash(kind, other, tenant="a")
    assert SEALER.hash(kind, one, tenant="a") in SEALER.hashes(kind, other, tenant="a")


def test_a_number_without_its_country_is_looked_for_where_each_language_is_spoken() -> None:
    stored = SEALER.hash("phone", "010 6552 9988", tenant="a", language="zh")
    assert stored == SEALER.hash("phone", "+86 10 6552 9988", tenant="a")
    assert stored in SEALER.hashes("phone", "010 6552 9988", tenant="a")


def test_a_hash_tells_nothing_across_tenants_kinds_and_keys() -> None:
    found = {
        sealer.hash(kind, "12345678", tenant=tenant).partition(":")[2]
        for sealer in (SEALER, Sealer(OTHER))
        for kind in ("email", "phone")
        for tenant in ("a", "b")
    }
    assert len(found) == 8


def test_during_a_change_of_the_hash_key_both_are_asked_for() -> None:
    both = Sealer(Ring(seal=RING.seal, hash=(*OTHER.hash, *RING.hash)))
    old, new = (sealer.hash("email", "ada@mail.example", tenant="a") for sealer in (SEALER, Sealer(OTHER)))
    assert both.hashes("email", "ada@mail.example", tenant="a") == sorted([old, new])
    assert both.hash("email", "ada@mail.example", tenant="a") == new


def key(size: int, name: str = "k1") -> dict[str, str]:
    return {"id": name, "key": b64encode(bytes(size)).decode()}


@pytest.mark.parametrize(
    ("ring", "told"),
    [
        ({"seal": [], "hash": [key(32)]}, "seal"),
        ({"seal": [key(64)]}, "hash"),
        ({"seal": [key(32)], "hash": [key(32)]}, "`seal` key k1 of the key ring is not 64 bytes"),
        ({"seal": [key(64)], "hash": [key(64)]}, "`hash` key k1 of the key ring is not 32 bytes"),
        ({"seal": [{"id": "k1", "key": "?"}], "hash": [key(32)]}, "is not 64 bytes in base64"),
        ({"seal": [key(64), key(64)], "hash": [key(32)]}, "two `seal` keys with one id"),
        ({"seal": [key(64, "K:1")], "hash": [key(32)]}, r"\$\.seal\[0\]\.id"),
        ({"seal": [key(64)], "hash": [key(32)], "active": "k1"}, "active"),
    ],
)
def test_a_wrong_ring_says_what_is_wrong_and_nothing_of_its_keys(ring: object, told: str) -> None:
    with pytest.raises(RingError, match=told) as caught:
        parse(json.dumps(ring).encode())
    assert key(64)["key"] not in str(caught.value)
    assert key(32)["key"] not in str(caught.value)


def test_a_ring_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "ring.json"
    with pytest.raises(RingError, match=f"{SETTING} is not set"):
        read("", setting=SETTING)
    with pytest.raises(RingError, match=f"{SETTING} names {file}, which cannot be read: No such file"):
        read(str(file), setting=SETTING)
    file.write_text("no JSON")
    with pytest.raises(RingError, match=f"{SETTING} names {file}: the key ring is wrong"):
        read(str(file), setting=SETTING)
    file.write_bytes(new_ring())
    ring = read(str(file), setting=SETTING)
    assert all(one.key not in repr(ring) for one in (*ring.seal, *ring.hash))
