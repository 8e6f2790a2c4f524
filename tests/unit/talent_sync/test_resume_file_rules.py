"""What a résumé file is, what it is called, and how it is packed: decided without a database."""

from __future__ import annotations

import io
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.resume_file import FileState
from looma_core.problems import PayloadTooLarge, UnsupportedMedia, ValidationProblem
from looma_engines.talent_sync.files import kinds
from looma_engines.talent_sync.files.kinds import EmptyFile, WrongKind, kind_of
from looma_engines.talent_sync.files.naming import LONGEST, disposition, plain_name
from looma_engines.talent_sync.files.packing import (
    PART_BYTES,
    DamagedPart,
    length_of,
    packed,
    parts_of,
    unpacked,
)
from looma_engines.talent_sync.files.ranges import span_of
from looma_engines.talent_sync.files.service import FILE_BYTES, examine
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sealing import SealedBytes, SealError
from support.key_ring import SEALER

NOISE = bytes(range(256)) * 8


def container(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return file.getvalue()


DOCX = container(word__document_dot_xml=b"<w:document/>", word__styles_dot_xml=b"")
ODT = container(mimetype=kinds.ODT.encode(), content_dot_xml=b"<office/>")
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


def told(data: bytes) -> str:
    return kind_of(io.BytesIO(data), data[: kinds.HEAD_BYTES])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n" + NOISE, kinds.PDF),
        (b"X-Mailer: a gateway\r\n%PDF-1.4\n" + NOISE, kinds.PDF),
        (DOCX, kinds.DOCX),
        (ODT, kinds.ODT),
        (OLE2 + "WordDocument".encode("utf-16-le"), kinds.DOC),
        (b"{\\rtf1\\ansi Ada}", kinds.RTF),
        (b"<!DOCTYPE html><p>Ada</p>", kinds.HTML),
        (b"Ada Byron\nEngineer", kinds.TEXT),
        ("林黛\n工程师".encode("gb18030"), kinds.TEXT),
        ("\ufeff林黛".encode("utf-16-le"), kinds.TEXT),
        (b"MZ Khan\nEngineer", kinds.TEXT),
        (b"\x89PNG\r\n\x1a\n" + NOISE, kinds.PNG),
        (b"\xff\xd8\xff\xe0" + NOISE, kinds.JPEG),
    ],
)
def test_a_file_is_what_its_bytes_say(data: bytes, kind: str) -> None:
    assert told(data) == kind
    assert kind in kinds.SHORT_NAMES


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"MZ\x90\x00\x03\x00\x00\x00" + NOISE, "program"),
        (b"MZ\x90\x00\x03\x00\x00\x00%PDF-1.7" + NOISE, "program"),
        (b"\x7fELF\x02\x01\x01" + NOISE, "program"),
        (b"#!/bin/sh\nrm -rf /\n%PDF-1.7", "program"),
        (container(xl__workbook_dot_xml=b"<x/>"), "archive"),
        (DOCX[: len(DOCX) // 2], "damaged"),
        (OLE2, "no document of Word"),
        (OLE2 + "EncryptedPackage".encode("utf-16-le"), "password"),
        (b"GIF89a" + NOISE, "image/gif"),
        (NOISE, "no known type"),
    ],
)
def test_what_is_no_document_is_refused_and_says_what_it_is(data: bytes, why: str) -> None:
    with pytest.raises(WrongKind, match=why) as raised:
        told(data)
    assert "send" in str(raised.value), "what to do instead"


@pytest.mark.parametrize("data", [b"", b" \r\n\t", b"\0\0\0"])
def test_nothing_is_no_file(data: bytes) -> None:
    with pytest.raises(EmptyFile):
        told(data)


def test_an_encrypted_container_is_refused() -> None:
    data = bytearray(DOCX)
    # The flag of each name in the container's own list, which is what is read.
    for place in [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]:
        data[place + 8] |= 1
    with pytest.raises(WrongKind, match="password"):
        told(bytes(data))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("C:\\Users\\Ada\\cv.pdf", "cv.pdf"),
        ("../../etc/cv.pdf", "cv.pdf"),
        ("cv.pdf\r\nSet-Cookie: a=b", "cv.pdfSet-Cookie: a=b"),
        ('简历 "林黛".pdf', '简历 "林黛".pdf'),
        ("a\x00b\u202ecod.exe", "abcod.exe"),
        ("", "resume"),
        ("\r\n", "resume"),
        ("x" * 300 + ".pdf", "x" * (LONGEST - 4) + ".pdf"),
    ],
)
def test_a_name_is_kept_without_what_does_harm(sent: str, kept: str) -> None:
    assert plain_name(sent) == kept


@given(st.text(max_size=300))
def test_no_name_leaves_its_header(sent: str) -> None:
    name = plain_name(sent)
    header = disposition(name)
    assert header.isascii()
    assert all(char.isprintable() and char not in '";' for char in header.partition("filename*=")[2])
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_filename() == name


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-9", (0, 9)),
        ("bytes=90-", (90, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=50-500", (50, 99)),
        ("bytes=-500", (0, 99)),
        ("bytes=100-", None),
        ("bytes=9-0", None),
        ("bytes=-0", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-9", None),
        ("bytes=" + "9" * 5000 + "-", None),
        (None, None),
    ],
)
def test_a_range_is_what_can_be_given_of_it(asked: str | None, span: tuple[int, int] | None) -> None:
    assert span_of(asked, 100) == span


@pytest.mark.parametrize(
    ("size", "lengths"),
    [
        (1, [1]),
        (PART_BYTES, [PART_BYTES]),
        (PART_BYTES + 1, [PART_BYTES, 1]),
        (3 * PART_BYTES, [PART_BYTES] * 3),
    ],
)
def test_a_file_has_parts(size: int, lengths: list[int]) -> None:
    assert [length_of(position, size) for position in range(parts_of(size))] == lengths


@given(st.binary(min_size=1, max_size=5000))
def test_a_part_comes_out_as_it_went_in(part: bytes) -> None:
    assert unpacked(packed(part), length=len(part)) == part


def test_a_part_of_another_length_is_not_given_out() -> None:
    # A small text that would be a gigabyte unpacks no further than it may.
    for data in (b"ab", b"a" * 10_000_000, b""):
        with pytest.raises(DamagedPart):
            unpacked(packed(data), length=1)
    with pytest.raises(DamagedPart):
        unpacked(b"no part", length=1)


def test_a_part_opens_in_its_place_alone() -> None:
    seals, file = Seals(SEALER, "demo"), uuid4()
    sealed = seals.part(file, 1, NOISE)
    assert seals.opened_part(file, 1, sealed) == NOISE
    assert NOISE[:16] not in sealed.data
    places: list[tuple[Seals, Any, int]] = [
        (seals, file, 0),
        (seals, uuid4(), 1),
        (Seals(SEALER, "other"), file, 1),
    ]
    for whose, which, position in places:
        with pytest.raises(SealError):
            whose.opened_part(which, position, sealed)
    changed = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    with pytest.raises(SealError):
        seals.opened_part(file, 1, SealedBytes(sealed.key, changed))
    with pytest.raises(SealError, match="not in the key ring"):
        seals.opened_part(file, 1, SealedBytes("gone", sealed.data))


def test_equal_files_of_two_tenants_cannot_be_compared() -> None:
    file, values = uuid4(), {"file_name": "cv.pdf", "sha256": "a" * 64}
    one, other = (Seals(SEALER, tenant).file_columns(file, values) for tenant in ("one", "other"))
    assert not set(one.values()) & set(other.values())
    assert Seals(SEALER, "one").hashes("file", "A" * 64) == [one["content_hash"]]
    assert Seals(SEALER, "one").file_values(file, one) == values


def test_a_file_of_ten_mebibytes_is_taken_and_one_with_a_byte_more_is_not() -> None:
    text = b"Ada Byron\n" * (FILE_BYTES // 10 + 1)
    assert examine(io.BytesIO(text[:FILE_BYTES])).size == FILE_BYTES
    with pytest.raises(PayloadTooLarge) as raised:
        examine(io.BytesIO(text[: FILE_BYTES + 1]))
    assert [error.field for error in raised.value.errors] == ["file"]


def test_the_page_names_every_type_and_state_and_the_limit() -> None:
    page = (Path(__file__).parents[3] / "docs/files.md").read_text()
    for name in kinds.SHORT_NAMES.values():
        assert {"txt": "text"}.get(name, name.upper()) in page, name
    for state in get_args(FileState):
        assert f"`{state}`" in page
    assert f"{FILE_BYTES // 2**20} MiB" in page
    assert f"{PART_BYTES // 1024} KiB" in page


@pytest.mark.parametrize(("data", "problem"), [(b"", ValidationProblem), (NOISE, UnsupportedMedia)])
def test_a_refusal_names_the_field(data: bytes, problem: type[ValidationProblem]) -> None:
    with pytest.raises(problem) as raised:
        examine(io.BytesIO(data))
    assert [error.field for error in raised.value.errors] == ["file"]
