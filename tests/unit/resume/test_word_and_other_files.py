"""What templates and programs do in Word, RTF, HTML and text files, on files of our own making."""

from __future__ import annotations

import codecs
import io
import zipfile

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from looma_engines.resume.documents import Document, DocumentProblem, exact_text, read_document
from looma_engines.resume.documents.model import Limits
from looma_engines.resume.documents.plain import decode


def _saved(document: object) -> Document:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return read_document(buffer.getvalue())


def _filled(document: Document) -> list[str]:
    return [line.text for line in document.lines if line.text.strip()]


def _paragraphs(*inner: str) -> Document:
    """A Word file of one paragraph for each piece of XML."""
    document = docx.Document()
    for xml in inner:
        document.element.body.insert(-1, parse_xml(f"<w:p {nsdecls('w', 'r')}>{xml}</w:p>"))
    return _saved(document)


def _t(text: str) -> str:
    return f"<w:r><w:t xml:space='preserve'>{text}</w:t></w:r>"


PARAGRAPHS: dict[str, tuple[str, list[str]]] = {
    "line breaks within": (
        _t("Mira Solberg") + "<w:r><w:br/></w:r>" + _t("Bergen"),
        ["Mira Solberg", "Bergen"],
    ),
    "hyphens that do not break": (
        _t("Solberg") + "<w:r><w:noBreakHyphen/></w:r>" + _t("Lie"),
        ["Solberg-Lie"],
    ),
    "deleted and inserted text": (
        f"<w:del><w:r><w:delText>Old</w:delText></w:r></w:del><w:ins>{_t('New words in it')}</w:ins>",
        ["New words in it"],
    ),
    "a field's code is no text, its result is": (
        "<w:r><w:instrText>PAGE \\* MERGEFORMAT</w:instrText></w:r>" + _t("Bergen in Norway"),
        ["Bergen in Norway"],
    ),
}


@pytest.mark.parametrize("which", PARAGRAPHS)
def test_what_is_within_a_paragraph(which: str) -> None:
    xml, expected = PARAGRAPHS[which]
    assert _filled(_paragraphs(xml, _t("The last line"))) == [*expected, "The last line"]


def test_links_of_a_word_file_are_kept() -> None:
    document = docx.Document()
    target = document.part.relate_to(
        "https://example.org/mira", RELATIONSHIP_TYPE.HYPERLINK, is_external=True
    )
    xml = (
        f"<w:p {nsdecls('w', 'r')}><w:hyperlink r:id='{target}'>{_t('My page of ferries')}</w:hyperlink>"
        f"<w:hyperlink w:anchor='top'>{_t(' and upwards')}</w:hyperlink></w:p>"
    )
    document.element.body.insert(-1, parse_xml(xml))
    read = _saved(document)
    assert _filled(read) == ["My page of ferries and upwards"]
    assert read.links == ["https://example.org/mira"]


def test_text_inserted_under_review_is_read() -> None:
    document = docx.Document()
    document.add_paragraph("Mira Solberg, Bergen")
    ins = f"<w:ins {nsdecls('w')}><w:p>{_t('A paragraph that was put in')}</w:p></w:ins>"
    document.element.body.insert(-1, parse_xml(ins))
    assert _filled(_saved(document)) == ["Mira Solberg, Bergen", "A paragraph that was put in"]


def test_cells_of_a_table_that_are_merged_or_controls_are_read_once() -> None:
    def cell(text: str, merge: str = "") -> str:
        return f"<w:tc><w:tcPr>{merge}</w:tcPr><w:p>{_t(text)}</w:p></w:tc>"

    begins = "<w:vMerge w:val='restart'/>"
    rows = (
        f"<w:tr>{cell('2014 - 2016', begins)}{cell('Fjordline Shipping')}</w:tr>"
        f"<w:tr>{cell('2014 - 2016', '<w:vMerge/>')}{cell('Test Engineer')}</w:tr>"
        f"<w:tr>{cell('2017')}<w:sdt><w:sdtContent>{cell('Harbour Cloud')}</w:sdtContent></w:sdt></w:tr>"
    )
    document = docx.Document()
    document.element.body.insert(-1, parse_xml(f"<w:tbl {nsdecls('w')}>{rows}</w:tbl>"))
    assert _filled(_saved(document)) == [
        "2014 - 2016\tFjordline Shipping",
        "Test Engineer",
        "2017\tHarbour Cloud",
    ]


def test_long_cells_are_read_one_after_the_other_with_a_gap() -> None:
    document = docx.Document()
    left, right = document.add_table(rows=1, cols=2).rows[0].cells
    left.text = "Mira Solberg\nmira@example.org"
    left.add_paragraph("Bergen")
    right.text = "Tested the ferries of the fjords in every weather and wrote down which of them leak"
    lines = [line.text for line in _saved(document).lines]
    assert lines[:3] == ["Mira Solberg", "mira@example.org", "Bergen"]
    assert lines[3] == ""
    assert lines[4].startswith("Tested the ferries")


def test_a_footer_comes_last_and_the_same_text_once() -> None:
    document = docx.Document()
    document.add_paragraph("Mira Solberg, Test Engineer")
    document.sections[0].footer.paragraphs[0].text = "Bergen, +47 55 12 34 56"
    second = document.add_section()
    second.footer.is_linked_to_previous = False
    second.footer.paragraphs[0].text = "Bergen, +47 55 12 34 56"
    assert _filled(_saved(document)) == ["Mira Solberg, Test Engineer", "Bergen, +47 55 12 34 56"]


def test_tables_nested_beyond_all_measure_are_refused() -> None:
    inner = f"<w:p>{_t('deep')}</w:p>"
    for _ in range(45):
        inner = f"<w:tbl><w:tr><w:tc>{inner}<w:p/></w:tc></w:tr></w:tbl>"
    document = docx.Document()
    document.element.body.insert(-1, parse_xml(inner.replace("<w:tbl>", f"<w:tbl {nsdecls('w')}>", 1)))
    with pytest.raises(DocumentProblem) as raised:
        _saved(document)
    assert raised.value.code == "damaged-document"
    assert "too deeply" in raised.value.detail


RTF = {
    "text in an unknown code page": (
        b"{\\rtf1\\ansi\\ansicpg999 Mira Solberg\\par Test Engineer of ferries}",
        ["Mira Solberg", "Test Engineer of ferries"],
    ),
    "cells of a table": (
        b"{\\rtf1\\ansi Mira Solberg, Bergen\\par\\trowd\\intbl 2014\\cell Fjordline\\cell\\row}",
        ["Mira Solberg, Bergen", "2014\tFjordline"],
    ),
    "bytes of the file's code page": (
        b"{\\rtf1\\ansi\\ansicpg1252 Mira S\xf8lberg\\par Test Engineer of ferries}",
        ["Mira Sølberg", "Test Engineer of ferries"],
    ),
}


@pytest.mark.parametrize("which", RTF)
def test_rtf(which: str) -> None:
    data, expected = RTF[which]
    assert [line.rstrip("\t") for line in _filled(read_document(data))] == expected


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def _encrypted_zip() -> bytes:
    data = bytearray(_zip("word/document.xml"))
    # The flag of an encrypted member, in the directory at the end.
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (_zip("ppt/presentation.xml"), "unsupported-document-type", "PowerPoint"),
        (_zip("mimetype", "content.xml"), "unsupported-document-type", "OpenDocument"),
        (_encrypted_zip(), "encrypted-document", "password"),
        (b"\x1f\x8b\x08\x00" + bytes(300), "unsupported-document-type", "gzip"),
    ],
    ids=["slides", "OpenDocument", "an encrypted member", "gzip"],
)
def test_more_refusals_name_the_type(data: bytes, code: str, word: str) -> None:
    with pytest.raises(DocumentProblem) as raised:
        read_document(data)
    assert raised.value.code == code
    assert word in raised.value.detail


def test_a_problem_that_no_list_has_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        DocumentProblem("no-such-code", "x")


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        ("经验丰富".encode("gbk"), "gb2312", "经验丰富"),
        ("Sølberg".encode("latin-1"), "iso-8859-1", "Sølberg"),
        ("Sølberg".encode(), "no-such-encoding", "Sølberg"),
        (codecs.BOM_UTF16_BE + "Sølberg".encode("utf-16-be"), None, "Sølberg"),
        ("資深工程師，負責系統設計與開發工作".encode("big5"), None, "資深工程師，負責系統設計與開發工作"),
    ],
    ids=["GB2312 means GBK", "declared", "declared wrongly", "UTF-16", "Big5, told from the bytes"],
)
def test_text_is_decoded_as_declared_where_that_can_be(data: bytes, declared: str | None, text: str) -> None:
    assert decode(data, declared=declared) == text


def test_an_exact_text_has_limits() -> None:
    with pytest.raises(DocumentProblem) as empty:
        exact_text(" \n")
    with pytest.raises(DocumentProblem) as long:
        exact_text("x" * 11, limits=Limits(max_characters=10))
    assert (empty.value.code, long.value.code) == ("empty-document", "document-too-large")


def test_a_page_keeps_rows_of_tables_and_the_text_before_a_break() -> None:
    page = (
        b"<html><body><table><tr><th>2014</th><td>Fjordline</td></tr></table><p>Test<br>Engineer</p>"
        b"<ul><li></li><li><b>Tested</b> ferries of the fjords</li><li><ul>"
        b"<li><p>in storms</p></li></ul></li><li></li></ul><p>Bergen</p><!-- not me --></body></html>"
    )
    assert _filled(read_document(page)) == [
        "2014\tFjordline",
        "Test",
        "Engineer",
        "• Tested ferries of the fjords",
        "• in storms",
        "Bergen",
    ]
