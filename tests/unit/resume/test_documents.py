"""Bytes to text: types told by their bytes, order of reading, limits, and every refusal."""

from __future__ import annotations

import contextlib
import io
import zipfile

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from looma_engines.resume.documents import DocumentProblem, Limits, read_document, read_text
from looma_engines.resume.documents.cleaning import clean_line, fold
from looma_engines.resume.documents.furniture import drop_furniture
from looma_engines.resume.documents.layout import Gutter, Segment, Word, group_rows, judge_gutter, page_lines
from looma_engines.resume.documents.model import RawLine
from looma_engines.resume.documents.problems import CODES
from looma_engines.resume.documents.sniff import DOCX, HTML, PDF, RTF, TEXT, detect
from looma_engines.resume.problems import told
from support.resume_files import ADA, LIN, build, pdf_encrypted, pdf_image_only, pdf_pages, text, txt_gb18030


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _refusal(data: bytes, limits: Limits | None = None) -> DocumentProblem:
    with pytest.raises(DocumentProblem) as raised:
        read_document(data, limits=limits)
    return raised.value


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (build("pdf-one-column", "en"), PDF),
        (b"From the gateway\r\n" + build("pdf-one-column", "en"), PDF),
        (build("docx-plain", "zh"), DOCX),
        (build("html", "en"), HTML),
        (b"<div><p>a</p><p>b</p><br><span>c</span></div>", HTML),
        (build("rtf", "zh"), RTF),
        (build("txt-utf8", "zh"), TEXT),
        (txt_gb18030(LIN), TEXT),
        ("Ada".encode("utf-16"), TEXT),
    ],
)
def test_a_type_is_told_by_its_bytes(data: bytes, expected: str) -> None:
    assert detect(data, limits=Limits()) == expected


REFUSED = {
    "nothing": (b"", "empty-document", "no content"),
    "white space": (b" \n\t\x00", "empty-document", "no content"),
    "a picture": (b"\xff\xd8\xff\xe0" + bytes(100), "unsupported-document-type", "image/jpeg"),
    "the old Word": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "unsupported-document-type", ".docx"),
    "an encrypted Word": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64) + "EncryptedPackage".encode("utf-16-le"),
        "encrypted-document",
        "password",
    ),
    "a workbook": (_zip({"xl/workbook.xml": b"<x/>"}), "unsupported-document-type", "Excel"),
    "an archive": (_zip({"a.txt": b"a"}), "unsupported-document-type", "ZIP"),
    "a cut archive": (build("docx-plain", "en")[:2000], "damaged-document", "broken"),
    "a Word file without text": (_zip({"word/document.xml": b"<broken"}), "damaged-document", "broken"),
    "an encrypted PDF": (pdf_encrypted(ADA), "encrypted-document", "password"),
    "a scan": (pdf_image_only(), "no-text-in-document", "pictures"),
    "a broken PDF": (b"%PDF-1.4\n" + b"x" * 500, "damaged-document", "broken"),
    "a program": (b"\x7fELF" + bytes(range(256)) * 20, "unsupported-document-type", ""),
}


@pytest.mark.parametrize("which", REFUSED)
def test_a_refusal_names_what_is_wrong_and_what_to_do(which: str) -> None:
    data, code, word = REFUSED[which]
    problem = _refusal(data)
    assert problem.code == code
    assert word in problem.detail
    assert told(problem, most_pages=30).name == code


def test_every_code_has_a_problem_type() -> None:
    for code in CODES:
        problem = told(DocumentProblem(code, "x"), most_pages=30)
        assert (problem.name, problem.detail) == (code, "x")
        assert problem.status in (413, 415, 422)


def test_limits() -> None:
    data = build("pdf-one-column", "en")
    assert _refusal(data, Limits(max_bytes=100)).code == "document-too-large"
    assert _refusal(pdf_pages(ADA, 3), Limits(max_pages=2)).code == "document-too-large"
    assert "3 pages" in _refusal(pdf_pages(ADA, 3), Limits(max_pages=2)).detail
    assert _refusal(data, Limits(max_characters=50)).code == "document-too-large"
    assert _refusal(build("txt-utf8", "en"), Limits(max_characters=50)).code == "document-too-large"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = _zip({"word/document.xml": b"<w/>", "word/media/a.bin": bytes(80 * 2**20)})
    assert len(bomb) < 100_000
    problem = _refusal(bomb)
    assert problem.code == "document-too-large"
    assert "unpacks" in problem.detail
    many = _zip({f"word/{n}.xml": b"" for n in range(3000)})
    assert _refusal(many).code == "document-too-large"


def test_an_entity_bomb_does_not_grow() -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    source = zipfile.ZipFile(io.BytesIO(build("docx-plain", "en")))
    members = {name: source.read(name) for name in source.namelist()}
    body = members["word/document.xml"].decode()
    declaration = f'<!DOCTYPE w [<!ENTITY e0 "lol">{entities}]>'
    members["word/document.xml"] = (
        body.replace("?>", f"?>{declaration}", 1).replace("Ada", "&e9;", 1).encode()
    )
    # Word's reader does not expand entities: either the file is refused or the text stays as small as it was.
    with contextlib.suppress(DocumentProblem):
        assert len(read_document(_zip(members)).text) < 20_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_text_in_every_usual_encoding(encoding: str) -> None:
    document = read_document(text(LIN).encode(encoding))
    assert document.text.splitlines()[0] == LIN.name


def test_western_text_is_not_taken_for_chinese() -> None:
    data = "Zoé Müller\nIngénieure, développée à Besançon depuis 2019\n".encode("cp1252") * 5
    assert "développée à Besançon" in read_document(data).text


def test_hidden_text_and_scripts_of_a_page_are_not_read() -> None:
    document = read_document(build("html", "en"))
    assert "script@example.com" not in document.text
    assert "hidden@example.com" not in document.text
    assert document.links == [f"mailto:{ADA.email}"]


def test_deep_html_neither_breaks_nor_hangs() -> None:
    data = b"<html><body>" + b"<div>" * 3_000 + b"Ada Byron, engineer of engines" + b"</div>" * 3_000
    assert "Ada Byron" in read_document(data).text


def test_word_keeps_document_order_and_reads_what_templates_hide_text_in() -> None:
    document = docx.Document()
    document.add_paragraph("First paragraph of the document")
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(table._cells, ("2019", "Acme", "2020", "Globex"), strict=True):
        cell.text = words
    document.add_paragraph("Between the tables")
    control = (
        f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>In a content control</w:t></w:r></w:p>"
        "</w:sdtContent></w:sdt>"
    )
    document.element.body.insert(-1, parse_xml(control))
    box = (
        f"<w:p {nsdecls('w')}><w:r><w:txbxContent><w:p><w:r><w:t>In a text box</w:t></w:r></w:p>"
        "</w:txbxContent></w:r></w:p>"
    )
    document.element.body.insert(-1, parse_xml(box))
    document.sections[0].header.paragraphs[0].text = "In the header"
    buffer = io.BytesIO()
    document.save(buffer)
    lines = [line for line in read_document(buffer.getvalue()).text.splitlines() if line]
    assert lines == [
        "In the header",
        "First paragraph of the document",
        "2019\tAcme",
        "2020\tGlobex",
        "Between the tables",
        "In a content control",
        "In a text box",
    ]


def test_columns_are_read_one_after_the_other() -> None:
    lines = read_document(build("pdf-two-columns", "en")).text.splitlines()
    filled = [line for line in lines if line]
    assert filled.index(ADA.headings["education"]) < filled.index(ADA.headings["summary"])
    assert filled.index("Uppsala University") < filled.index(ADA.headings["experience"])
    assert all("\t" not in line for line in filled)


def test_lines_know_where_they_are() -> None:
    document = read_document(build("pdf-one-column", "zh"))
    for line in document.lines:
        assert document.text[line.start : line.end] == line.text
    name = document.lines[0]
    assert name.text == LIN.name
    assert name.size == 20
    assert name.box is not None
    assert name.box[1] < 100


def test_a_text_is_cleaned_once_and_folded_without_moving() -> None:
    assert clean_line("e\ufb03cient\u200b work \u00a0 here\u00ad") == "efficient work  here"
    assert clean_line("co-\u2010design") == "co-design"
    assert clean_line("⼯程师") == "工程师"
    for sample in ("Ｃ＋＋ — ‘x’ ● y", "２０１９年～２０２０年　｜　至今", "a–b—c"):
        assert len(fold(sample)) == len(sample)
    assert fold("Ｃ＋＋ — ‘x’") == "C++ - 'x'"
    with pytest.raises(DocumentProblem):
        read_text("  \n ")


def test_page_furniture_is_dropped_but_a_letter_head_stays() -> None:
    def page(number: int, *body: str) -> list[RawLine]:
        return [RawLine(text=t, page=number) for t in ("Ada Byron", *body, f"Ada Byron - Page {number} of 2")]

    kept = drop_furniture([page(1, "Experience", "Acme", "Education"), page(2, "Skills", "SQL", "Go")])
    assert [[line.text for line in lines] for lines in kept] == [
        ["Ada Byron", "Experience", "Acme", "Education"],
        ["Skills", "SQL", "Go"],
    ]


def _segment(words: str, left: float, top: float, index: int) -> Segment:
    word = Word(
        text=words, left=left, top=top, right=left + 5.0 * len(words), bottom=top + 10, size=10, index=index
    )
    return Segment(words=[word], left=word.left, top=top, right=word.right, bottom=word.bottom)


LEFT = ["Contact details", "ada@example.org", "Stockholm city", "Skills and tools", "Python Go SQL"]
RIGHT = [
    "Experience in engines",
    "Engine Works, analyst",
    "Wrote the notes on it",
    "Worked with Babbage",
    "Taught her pupils",
]
GUTTERS = {
    # name: (left texts with row, right texts with row, written side by side, answer)
    "two columns written one after the other": (
        list(enumerate(LEFT)),
        list(enumerate(RIGHT)),
        False,
        Gutter.COLUMNS,
    ),
    "a table written across": (list(enumerate(LEFT)), list(enumerate(RIGHT)), True, Gutter.ROWS),
    "labels beside their rows": (
        [(0, "Experience"), (3, "Skills")],
        [(n, RIGHT[n % 5]) for n in range(6)],
        True,
        Gutter.RAIL,
    ),
    "dates at the end of some rows": (
        [(n, RIGHT[n % 5]) for n in range(8)],
        [(0, "2019"), (3, "2020"), (6, "2021")],
        True,
        Gutter.ROWS,
    ),
}


@pytest.mark.parametrize("name", GUTTERS)
def test_a_gutter_is_judged(name: str) -> None:
    left, right, across, expected = GUTTERS[name]
    segments = []
    for row, words in left:
        segments.append(_segment(words, 50, 100 + 14 * row, index=20 * row if across else row))
    for row, words in right:
        segments.append(_segment(words, 300, 100 + 14 * row, index=20 * row + 10 if across else 1000 + row))
    assert judge_gutter(group_rows(segments), 299) is expected


def test_letter_spaced_words_are_joined() -> None:
    words = []
    x = 50.0
    for at, char in enumerate("JORDAN REYES"):
        if char == " ":
            x += 14
            continue
        words.append(Word(text=char, left=x, top=50, right=x + 8, bottom=66, size=16, index=2 * at))
        x += 14
    assert [line.text for line in page_lines(words, page=1, height=800)] == ["JORDAN REYES"]
