"""Which lines are headings: by words, by place on the line, by look, and over a page break."""

from __future__ import annotations

import io

import docx
import pytest
from docx.shared import Pt
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from looma_engines.resume.documents import Document, read_document, read_text
from looma_engines.resume.parsing.context import build_context
from looma_engines.resume.parsing.language import detect_language
from looma_engines.resume.parsing.sections import find_sections
from support.resume_files import parser

JOB = "Cloud Engineer, Harbour Cloud Ltd"
Sections = list[tuple[str, list[str]]]


def sections(document: Document) -> Sections:
    """Kind and filled lines of each section, as the components see them."""
    context = build_context(document, language=detect_language(document.text))
    return [
        (section.kind, [line.folded.strip() for line in section.lines if line.folded.strip()])
        for section in find_sections(context)
    ]


TEXTS: dict[str, tuple[str, Sections]] = {
    "content on the heading's own line": (
        "Mira\nSummary: Keeps ferries running.\nSKILLS: Python, Go\nINTERESTS: rowing\nEDUCATION: Northfield\n",
        [
            ("header", ["Mira"]),
            ("summary", ["Keeps ferries running."]),
            ("skills", ["Python, Go"]),
            ("interests", ["rowing"]),
            ("education", ["Northfield"]),
        ],
    ),
    "a label in small letters below a heading is none": (
        f"Mira\nEXPERIENCE\n{JOB}\nLanguages: Java, Go\nprojects: many\n",
        [("header", ["Mira"]), ("experience", [JOB, "Languages: Java, Go", "projects: many"])],
    ),
    "labels beside what they head": (
        f"Mira\nExperience\t{JOB}\nEducation\tNorthfield University\nskills\tPython\n",
        [
            ("header", ["Mira"]),
            ("experience", [JOB]),
            ("education", ["Northfield University", "skills\tPython"]),
        ],
    ),
    "a label over two lines": (
        "Mira\nTechnical\tJava, Go\nSkills\tSpring\nother\tthings\n",
        [("header", ["Mira"]), ("skills", ["Java, Go", "Spring", "other\tthings"])],
    ),
    "letter-spaced": (
        "Mira\nE D U C A T I O N\nNorthfield\nS K I L L S\nGo\n",
        [("header", ["Mira"]), ("education", ["Northfield"]), ("skills", ["Go"])],
    ),
    "unlisted, in capitals as the others": (
        f"Mira\nEXPERIENCE\n{JOB}\nSKILLS\nPython\nSOME OLDER SIDE PROJECTS\nTide Tables\nWHAT I LIKE\nrowing\n",
        [
            ("header", ["Mira"]),
            ("experience", [JOB]),
            ("skills", ["Python"]),
            ("projects", ["Tide Tables", "WHAT I LIKE", "rowing"]),
        ],
    ),
    "common words and bullets only where they look like headings": (
        f"Mira\nEXPERIENCE\n{JOB}\n• Summary\nresearch\n• Skills:\nmore\n\nTools\nGo\n",
        [
            ("header", ["Mira"]),
            ("experience", [JOB, "• Summary", "research"]),
            ("skills", ["more"]),
            ("skills", ["Go"]),
        ],
    ),
    "a sentence is none": (
        "Mira\nExperience.\nExperience in education and in skills of many kinds that are worth a long line\n",
        [
            (
                "header",
                [
                    "Mira",
                    "Experience.",
                    "Experience in education and in skills of many kinds that are worth a long line",
                ],
            )
        ],
    ),
    "an unlisted word before a sure one": (
        "Mira\nMaritime Experience\nTeam Projects\nTEAM PROJECTS\nTide Tables\n",
        [("header", ["Mira"]), ("experience", ["Team Projects"]), ("projects", ["Tide Tables"])],
    ),
    "Chinese with numbers, twins and years": (
        "陈思远\n一、工作经历\n北京晨光软件有限公司\n教育背景 / Education\n青岛海洋学院\nEducation 教育2020\n",
        [
            ("header", ["陈思远"]),
            ("experience", ["北京晨光软件有限公司"]),
            ("education", ["青岛海洋学院", "Education 教育2020"]),
        ],
    ),
}


@pytest.mark.parametrize("which", TEXTS)
def test_headings_of_a_text(which: str) -> None:
    text, expected = TEXTS[which]
    assert sections(read_text(text)) == expected


def _word(*lines: tuple[str, str]) -> Document:
    """A Word file: each line with its look, "h" a heading's style, "b" bold, "s" a larger size."""
    document = docx.Document()
    for text, look in lines:
        if look == "h":
            document.add_heading(text, level=1)
            continue
        run = document.add_paragraph().add_run(text)
        run.bold = "b" in look
        run.font.size = Pt(16 if "s" in look else 10)
    buffer = io.BytesIO()
    document.save(buffer)
    return read_document(buffer.getvalue())


LOOKS: dict[str, tuple[tuple[tuple[str, str], ...], Sections]] = {
    "a heading's style with a word that tells": (
        (
            *(
                ("陈思远", ""),
                ("工作经历", "h"),
                ("北京晨光软件有限公司", ""),
                ("教育背景", "h"),
                ("青岛海洋学院", ""),
            ),
            *(("在校荣誉与其他", "h"), ("一等奖", ""), ("海洋之声", "h")),
        ),
        [
            ("header", ["陈思远"]),
            ("experience", ["北京晨光软件有限公司"]),
            ("education", ["青岛海洋学院"]),
            ("awards", ["一等奖", "海洋之声"]),
        ],
    ),
    "the size of the others, whatever it says": (
        (
            *(("Mira Solberg", ""), ("Experience", "s"), (JOB, ""), ("Ran servers", ""), ("and more", "")),
            *(("and more still", ""), ("Skills", "s")),
            *(
                ("Python", ""),
                ("Beyond the Shore", "s"),
                ("rowing", ""),
                ("In 2019", "s"),
                ("Acme, Inc.", "s"),
            ),
        ),
        [
            ("header", ["Mira Solberg"]),
            ("experience", [JOB, "Ran servers", "and more", "and more still"]),
            ("skills", ["Python"]),
            ("other", ["rowing", "In 2019", "Acme, Inc."]),
        ],
    ),
    "bold as the others, with a word that tells": (
        (
            *(("Mira Solberg", ""), ("Experience", "b"), (JOB, "b"), ("Skills", "b"), ("Python", "")),
            *(("Things for Volunteers", "b"), ("rowing", ""), ("Beyond the Shore", "b")),
            ("one word after the other in a line that is long for a project", "b"),
        ),
        [
            ("header", ["Mira Solberg"]),
            ("experience", [JOB]),
            ("skills", ["Python"]),
            (
                "volunteer",
                [
                    "rowing",
                    "Beyond the Shore",
                    "one word after the other in a line that is long for a project",
                ],
            ),
        ],
    ),
}


@pytest.mark.parametrize("which", LOOKS)
def test_headings_by_their_look(which: str) -> None:
    lines, expected = LOOKS[which]
    assert sections(_word(*lines)) == expected


def _two_pages(*, main: float, side: float) -> bytes:
    """Jobs in a column at `main` points from the left, skills in one at `side`; page two goes on with the jobs."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)

    def column(left: float, top: float, *lines: str) -> None:
        for at, line in enumerate(lines):
            canvas.setFont("Helvetica-Bold" if line in ("Experience", "Skills") else "Helvetica", 10)
            canvas.drawString(left, top - 15 * at, line)

    column(50, 800, "Mira Solberg", "mira@example.org")
    tools = ("Python and its tools", "PostgreSQL on Linux", "Kubernetes clusters", "Terraform", "Go")
    jobs = (
        *("Experience", "Cloud Engineer, Harbour Cloud Ltd", "2017 - 2019"),
        "• Ran the servers of the harbour and its ships",
        "• Wrote down how that is done without a stop",
        "• Taught four others to do it in the same way",
    )
    for left, lines in sorted({side: ("Skills", *tools), main: jobs}.items()):
        column(left, 740, *lines)
    canvas.showPage()
    column(main, 790, "Test Engineer, Fjordline Shipping Ltd", "2014 - 2016")
    column(main, 755, "• Tested the ferries of the fjords in every weather")
    canvas.save()
    return buffer.getvalue()


@pytest.mark.parametrize(("main", "side"), [(250, 50), (50, 380)], ids=["side left", "side right"])
def test_a_new_page_goes_on_with_the_section_at_the_foot_of_its_column(main: float, side: float) -> None:
    document = read_document(_two_pages(main=main, side=side))
    assert sections(document)[-1][0] == "experience"
    found = parser().parse(document)
    assert [(job.title, job.company, job.start, job.end) for job in found.experience] == [
        ("Cloud Engineer", "Harbour Cloud Ltd", "2017", "2019"),
        ("Test Engineer", "Fjordline Shipping Ltd", "2014", "2016"),
    ]
    assert {"Python", "Go"} <= {skill.name for skill in found.skills}
