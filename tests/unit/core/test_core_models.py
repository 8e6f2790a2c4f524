"""Models as files: what passes for each format, and what is said of a file that does not."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.models import (
    FORMATS,
    FetchFailure,
    UnreadableError,
    check_file,
    parse_failure,
    path_in_pod,
)

# ir_version 8, then a graph of three bytes: a field of its own that nobody looks at.
ONNX = b"\x08\x08" + b"\x3a\x03\x12\x01g"
LIGHTGBM = b"tree\nversion=v4\nnum_class=1\n\nTree=0\nnum_leaves=1\n\nend of trees\n\nparameters:\nend of parameters\n"


def archive(**files: bytes) -> bytes:
    """A gzipped tar of a pipeline's folder."""
    stream = io.BytesIO()
    # Its header has the time otherwise, and each of several test processes would name its cases by another one.
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(f"pipeline/{name.replace('_', '.')}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


SPACY = archive(meta_json=b'{"lang": "zh"}', config_cfg=b"[nlp]\n")
GOOD = {"json": b'{"skills": ["Python"]}', "onnx": ONNX, "lightgbm": LIGHTGBM, "spacy": SPACY}


@pytest.mark.parametrize("form", FORMATS)
def test_a_good_file_passes(form, tmp_path: Path):
    file = tmp_path / "model"
    file.write_bytes(GOOD[form])
    check_file(file, form)


@pytest.mark.parametrize(
    ("form", "content", "says"),
    [
        ("json", b"{", "it is no JSON"),
        ("json", b'{"a": 1} {', "it is no JSON"),
        ("json", b"\xff\xfe", "it is no JSON"),
        ("onnx", b"", "it has no graph"),
        ("onnx", b"\x08\x08", "it has no graph"),
        ("onnx", ONNX[:-1], "it ends in the middle of a field"),
        ("onnx", b"<html>", "a ModelProto has no field"),
        ("onnx", b"\xff" * 12, "a number in it has no end"),
        ("lightgbm", b"<html>\n", "its first line is not `tree`"),
        ("lightgbm", LIGHTGBM[:60], "`end of trees` is missing"),
        ("spacy", b"PK\x03\x04", "it is no whole gzipped tar"),
        ("spacy", SPACY[:-20], "it is no whole gzipped tar"),
        ("spacy", archive(meta_json=b"{}"), "it has no config.cfg"),
        ("spacy", archive(notes=b""), "it has no config.cfg and no meta.json"),
        ("spacy", archive(meta_json=b"{", config_cfg=b""), "its meta.json is no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_to_be_so(form, content, says, tmp_path: Path):
    file = tmp_path / "model"
    file.write_bytes(content)
    with pytest.raises(UnreadableError, match=says):
        check_file(file, form)


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_passes_for_another(form, tmp_path: Path):
    for other, content in GOOD.items():
        if other != form:
            file = tmp_path / f"{form}-{other}"
            file.write_bytes(content)
            with pytest.raises(UnreadableError):
                check_file(file, form)


@given(content=st.binary(max_size=200), form=st.sampled_from(FORMATS))
def test_any_bytes_are_judged_and_nothing_else_is_raised(tmp_path_factory, content, form):
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(content)
    with contextlib.suppress(UnreadableError):
        check_file(file, form)


@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,40}[a-z0-9])?", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])),
)
def test_a_failure_survives_being_told(name, message):
    failure = FetchFailure(reason="DigestMismatch", name=name, message=message)
    assert parse_failure(f"before\n{failure}\n") == failure


def test_each_version_has_a_folder_of_its_own():
    assert path_in_pod("ner-1.0.0", "spacy") == "/var/lib/looma/models/ner-1.0.0/model.tar.gz"
