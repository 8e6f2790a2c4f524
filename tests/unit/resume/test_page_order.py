"""PDF pages of our own making, read in the order in which a person reads them."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from looma_engines.resume.documents import Document, DocumentProblem, read_document
from looma_engines.resume.documents.furniture import drop_furniture
from looma_engines.resume.documents.layout import Gutter, Segment, Word, group_rows, judge_gutter
from looma_engines.resume.documents.model import RawLine
from looma_engines.resume.documents.pdf import _char
from support.resume_files import parser

STEP = 15.0


def pdf(*pages: Callable[[Canvas], object]) -> bytes:
    """A PDF whose pages are drawn by ``pages``."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    for draw in pages:
        canvas.setFont("Helvetica", 10)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def column(canvas: Canvas, left: float, top: float, *lines: str) -> None:
    """Lines below each other, an empty one a gap."""
    for at, line in enumerate(lines):
        canvas.drawString(left, top - STEP * at, line)


def filled(document: Document) -> list[str]:
    """The lines that say something."""
    return [line.text for line in document.lines if line.text]


def _labels_beside_rows(canvas: Canvas) -> None:
    column(canvas, 50, 800, "Mira Solberg", "Test engineer of ferries, mira@example.org, Bergen in Norway")
    column(canvas, 50, 740, "Experience")
    column(
        *(canvas, 180, 740, "Test Engineer, Fjordline Shipping Ltd", "2014 - 2016"),
        *("Tested the ferries of the fjords in every weather", "and wrote down which of them leak"),
        *("Cloud Engineer, Harbour Cloud Ltd", "2017 - 2019"),
    )
    column(canvas, 50, 740 - 7 * STEP, "Technical", "Skills")
    column(
        *(canvas, 180, 740 - 7 * STEP, "Python, PostgreSQL and Kubernetes on Linux"),
        *("Terraform, and whatever else the harbour needs", "Go where it must be fast"),
    )


def _columns_between_full_lines(canvas: Canvas) -> None:
    canvas.drawString(
        50, 800, "Mira Solberg, test engineer of ferries and of everything else that floats on water"
    )
    column(
        canvas, 50, 770, "Skills", "Python and its tools", "PostgreSQL on Linux", "Kubernetes clusters", "Go"
    )
    column(
        *(canvas, 250, 770, "Experience", "Test Engineer, Fjordline Shipping Ltd", "2014 - 2016"),
        *("Tested the ferries of the fjords in storms", "Wrote down which of them leak"),
    )
    canvas.drawString(
        50, 660, "References are given on request, by mail or over a cup of coffee in the harbour town"
    )


def _text_along_the_margin(canvas: Canvas) -> None:
    column(canvas, 80, 800, "Mira Solberg", "mira@example.org", "Experience")
    canvas.saveState()
    canvas.translate(30, 400)
    canvas.rotate(90)
    canvas.drawString(0, 0, "Printed in Bergen")
    canvas.restoreState()


def _a_row_drawn_in_pieces(canvas: Canvas) -> None:
    # Many programs write a line's parts in any order.
    canvas.drawString(50 + canvas.stringWidth("Fjordline ", "Helvetica", 10), 800, "Shipping")
    canvas.drawRightString(545, 800, "2014 - 2016")
    canvas.drawString(50, 800, "Fjordline")
    column(canvas, 50, 785, "Test Engineer", "Bergen")


def _letter_spaced_beside_a_date(canvas: Canvas) -> None:
    for at, char in enumerate("BERGEN"):
        canvas.drawString(50 + 13 * at, 800, char)
    canvas.drawRightString(545, 800, "Norway")
    column(canvas, 50, 785, "Test Engineer", "Ferries")


def _a_raised_mark(canvas: Canvas) -> None:
    canvas.drawString(50, 800, "Solberg")
    canvas.setFont("Helvetica", 6)
    canvas.drawString(50 + canvas.stringWidth("Solberg", "Helvetica", 10), 806, "3")
    canvas.setFont("Helvetica", 10)
    column(canvas, 50, 785, "Test Engineer of ferries")


ORDERS: dict[str, tuple[Callable[[Canvas], None], list[str]]] = {
    "labels beside their rows, one of them on two lines": (
        _labels_beside_rows,
        [
            "Mira Solberg",
            "Test engineer of ferries, mira@example.org, Bergen in Norway",
            "Experience",
            "Test Engineer, Fjordline Shipping Ltd",
            "2014 - 2016",
            "Tested the ferries of the fjords in every weather",
            "and wrote down which of them leak",
            "Cloud Engineer, Harbour Cloud Ltd",
            "2017 - 2019",
            "Technical Skills",
            "Python, PostgreSQL and Kubernetes on Linux",
            "Terraform, and whatever else the harbour needs",
            "Go where it must be fast",
        ],
    ),
    "columns between lines of full width": (
        _columns_between_full_lines,
        [
            "Mira Solberg, test engineer of ferries and of everything else that floats on water",
            "Skills",
            "Python and its tools",
            "PostgreSQL on Linux",
            "Kubernetes clusters",
            "Go",
            "Experience",
            "Test Engineer, Fjordline Shipping Ltd",
            "2014 - 2016",
            "Tested the ferries of the fjords in storms",
            "Wrote down which of them leak",
            "References are given on request, by mail or over a cup of coffee in the harbour town",
        ],
    ),
    "text along the margin comes last": (
        _text_along_the_margin,
        ["Mira Solberg", "mira@example.org", "Experience", "Printed in Bergen"],
    ),
    "a row drawn in pieces": (
        _a_row_drawn_in_pieces,
        ["Fjordline Shipping\t2014 - 2016", "Test Engineer", "Bergen"],
    ),
    "a mark raised above its word": (_a_raised_mark, ["Solberg3", "Test Engineer of ferries"]),
    "letter-spaced words in a row": (
        _letter_spaced_beside_a_date,
        ["BERGEN\tNorway", "Test Engineer", "Ferries"],
    ),
}


@pytest.mark.parametrize("which", ORDERS)
def test_a_page_is_read_in_order(which: str) -> None:
    draw, expected = ORDERS[which]
    assert filled(read_document(pdf(draw))) == expected


def test_labels_beside_rows_head_sections() -> None:
    found = parser().parse(read_document(pdf(_labels_beside_rows)))
    assert [(job.title, job.company) for job in found.experience] == [
        ("Test Engineer", "Fjordline Shipping Ltd"),
        ("Cloud Engineer", "Harbour Cloud Ltd"),
    ]
    assert {"Python", "PostgreSQL", "Terraform", "Go"} <= {skill.name for skill in found.skills}


def test_links_of_a_page_are_kept_and_jumps_within_it_are_not() -> None:
    def draw(canvas: Canvas) -> None:
        column(canvas, 50, 800, "Mira Solberg", "My page", "Test Engineer of ferries")
        canvas.linkURL("https://example.org/mira", (50, 780, 200, 795))
        canvas.linkURL("mailto:mira@example.org", (50, 795, 200, 810))
        canvas.bookmarkPage("top")
        canvas.linkAbsolute("", "top", (50, 700, 200, 720))

    document = read_document(pdf(draw))
    assert document.links == ["https://example.org/mira", "mailto:mira@example.org"]
    assert parser().parse(document).contact.email == "mira@example.org"


def test_a_page_without_text_is_said() -> None:
    document = read_document(
        pdf(
            lambda canvas: column(canvas, 50, 800, "Mira Solberg", "Test Engineer"),
            lambda canvas: canvas.rect(50, 50, 90, 90),
        )
    )
    assert document.pages == 2
    assert document.warnings == ["Page 2 holds no text, perhaps a picture; it was not read."]


def test_text_beside_the_page_is_left_out() -> None:
    def draw(canvas: Canvas) -> None:
        column(canvas, 50, 800, "Mira Solberg", "Test Engineer")
        canvas.drawString(50, 2000, "hidden words above the page")

    assert filled(read_document(pdf(draw))) == ["Mira Solberg", "Test Engineer"]


def test_a_pdf_without_pages_is_damaged() -> None:
    data = (
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        b"2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
    )
    with pytest.raises(DocumentProblem) as raised:
        read_document(data)
    assert raised.value.code == "damaged-document"


@pytest.mark.parametrize(
    ("code", "char"),
    [
        (0x02, "-"),
        (0xAD, "-"),
        (9, " "),
        (13, " "),
        (0x07, None),
        (0xD800, None),
        (0x110000, None),
        (0x4E2D, "中"),
    ],
)
def test_code_units_of_a_page_as_characters(code: int, char: str | None) -> None:
    assert _char(code) == char


def test_dates_at_the_edges_of_pages_are_no_page_numbers() -> None:
    def page(number: int, *body: str) -> list[RawLine]:
        return [RawLine(text=text, page=number) for text in body]

    first = page(1, "Mira Solberg", "2019 - 2021", "Cloud Engineer", "Harbour Cloud", "2017.03-2018.02", "1")
    second = page(2, "Test Engineer", "2014 - 2016", "Fjordline", "Bergen", "2014.07-2016.03", "- 2 -")
    assert [[line.text for line in lines] for lines in drop_furniture([first, second])] == [
        ["Mira Solberg", "2019 - 2021", "Cloud Engineer", "Harbour Cloud", "2017.03-2018.02"],
        ["Test Engineer", "2014 - 2016", "Fjordline", "Bergen", "2014.07-2016.03"],
    ]


def _row(index: int, *pieces: tuple[float, str]) -> list[Segment]:
    segments = []
    for at, (left, text) in enumerate(pieces):
        top = 100 + 14.0 * index
        box = {"left": left, "top": top, "right": left + 5.0 * len(text), "bottom": top + 10}
        word = Word(text=text, size=10, index=20 * index + 10 * at, **box)
        segments.append(Segment(words=[word], **box))
    return segments


LONG = "words of a line that fill it"
GUTTERS: dict[str, tuple[list[list[tuple[float, str]]], Gutter]] = {
    "the right edge is ragged": (
        [[(50, LONG), (300 + 60 * (at % 3), LONG)] for at in range(6)],
        Gutter.ROWS,
    ),
    "two short labels that stand beside nothing": (
        [[(50, "Skills")], [(300, LONG)], [(300, LONG)], [(50, "Jobs")], *([(300, LONG)] for _ in range(4))],
        Gutter.ROWS,
    ),
    "hardly any text on a side": ([[(50, LONG), (300, "ok")] for _ in range(6)], Gutter.ROWS),
    "two labels, each beside many rows": (
        [
            *([(50, "Skills"), (300, LONG)], [(300, LONG)], [(300, LONG)]),
            *([(50, "Jobs"), (300, LONG)], [(300, LONG)], [(300, LONG)]),
        ],
        Gutter.RAIL,
    ),
}


@pytest.mark.parametrize("which", GUTTERS)
def test_more_gutters_are_judged(which: str) -> None:
    rows, expected = GUTTERS[which]
    segments = [segment for at, pieces in enumerate(rows) for segment in _row(at, *pieces)]
    assert judge_gutter(group_rows(segments), 299) is expected
