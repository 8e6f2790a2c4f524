"""Résumés that we make ourselves, as files of every supported type, with what is true of each.

`PERSONS` are invented; `build` sets one in a layout and a format. Tests compare what the engine finds with
the `Person` that the file was made of.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import docx
from docx.shared import Pt
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from looma_engines.resume.parsing import ResumeParser

CHINESE_FONT = "STSong-Light"


@dataclass(frozen=True, kw_only=True)
class Job:
    title: str
    company: str
    location: str
    dates: str
    start: str
    end: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class School:
    institution: str
    degree: str
    major: str
    dates: str
    end: str


@dataclass(frozen=True, kw_only=True)
class Person:
    language: str
    name: str
    email: str
    phone: str
    location: str
    summary: str
    jobs: tuple[Job, ...]
    schools: tuple[School, ...]
    skills: tuple[str, ...]
    headings: dict[str, str] = field(default_factory=dict)


ADA = Person(
    language="en",
    name="Ada Lindqvist",
    email="ada.lindqvist@example.org",
    phone="+46 8 123 456 78",
    location="Stockholm, Sweden",
    summary="Backend engineer who keeps payment systems running and explains them to everyone else.",
    jobs=(
        Job(
            title="Senior Software Engineer",
            company="Northlight Payments AB",
            location="Stockholm, Sweden",
            dates="Mar 2021 - Present",
            start="2021-03",
            end=None,
            lines=(
                "Moved the settlement ledger to PostgreSQL without an hour of downtime.",
                "Taught four colleagues to run Kubernetes by themselves.",
            ),
        ),
        Job(
            title="Data Analyst",
            company="Harbour Insurance Ltd",
            location="London, UK",
            dates="06/2017 - 02/2021",
            start="2017-06",
            end="2021-02",
            lines=("Built the claims dashboard in Python and Tableau.",),
        ),
    ),
    schools=(
        School(
            institution="Uppsala University",
            degree="Master of Science",
            major="Computer Science",
            dates="2015 - 2017",
            end="2017",
        ),
        School(
            institution="Lund University",
            degree="Bachelor of Science",
            major="Mathematics",
            dates="2012 - 2015",
            end="2015",
        ),
    ),
    skills=("Python", "PostgreSQL", "Kubernetes", "Tableau", "Go"),
    headings={
        "summary": "Summary",
        "experience": "Work Experience",
        "education": "Education",
        "skills": "Skills",
    },
)

LIN = Person(
    language="zh",
    name="林晓雯",
    email="linxiaowen@example.com",
    phone="13800138000",
    location="杭州",
    summary="五年后端开发经验，熟悉高并发系统的设计与调优。",
    jobs=(
        Job(
            title="高级Java工程师",
            company="杭州云杉网络科技有限公司",
            location="杭州",
            dates="2020.07-至今",
            start="2020-07",
            end=None,
            lines=("负责订单系统的微服务改造，接口平均耗时下降一半。", "带领三人小组完成数据库分库分表。"),
        ),
        Job(
            title="软件工程师",
            company="上海海豚信息技术股份有限公司",
            location="上海",
            dates="2017.03-2020.06",
            start="2017-03",
            end="2020-06",
            lines=("参与支付网关的开发与维护。",),
        ),
    ),
    schools=(
        School(
            institution="浙江大学", degree="硕士", major="软件工程", dates="2014.09-2017.03", end="2017-03"
        ),
        School(
            institution="南京理工大学",
            degree="本科",
            major="计算机科学与技术",
            dates="2010.09-2014.06",
            end="2014-06",
        ),
    ),
    skills=("Java", "Spring Boot", "MySQL", "Redis", "Kafka"),
    headings={"summary": "自我评价", "experience": "工作经历", "education": "教育背景", "skills": "专业技能"},
)

PERSONS = {"en": ADA, "zh": LIN}


def _font(person: Person, *, bold: bool = False) -> str:
    if person.language == "zh":
        if CHINESE_FONT not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(UnicodeCIDFont(CHINESE_FONT))
        return CHINESE_FONT
    return "Helvetica-Bold" if bold else "Helvetica"


class _Page:
    """A cursor that goes down a column."""

    def __init__(self, canvas: Canvas, person: Person, left: float, top: float) -> None:
        self.canvas, self.person, self.left, self.y = canvas, person, left, top

    def line(
        self, text: str, *, size: float = 10, bold: bool = False, right: str = "", edge: float = 545
    ) -> None:
        self.canvas.setFont(_font(self.person, bold=bold), size)
        self.canvas.drawString(self.left, self.y, text)
        if right:
            self.canvas.drawRightString(edge, self.y, right)
        self.y -= size * 1.5

    def gap(self) -> None:
        self.y -= 10


def _contact(person: Person) -> tuple[str, ...]:
    return (person.email, person.phone, person.location)


def pdf_one_column(person: Person) -> bytes:
    """Name on top, dates flush right."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    page = _Page(canvas, person, 50, 790)
    page.line(person.name, size=20, bold=True)
    page.line(" | ".join(_contact(person)))
    for kind in ("summary", "experience", "education", "skills"):
        page.gap()
        page.line(person.headings[kind], size=13, bold=True)
        _section(page, person, kind)
    canvas.save()
    return buffer.getvalue()


def _section(page: _Page, person: Person, kind: str, *, edge: float = 545) -> None:
    if kind == "summary":
        page.line(person.summary)
    elif kind == "experience":
        for job in person.jobs:
            page.line(job.title, bold=True, right=job.dates, edge=edge)
            page.line(job.company, right=job.location, edge=edge)
            for text in job.lines:
                page.line("• " + text)
            page.gap()
    elif kind == "education":
        for school in person.schools:
            page.line(school.institution, bold=True, right=school.dates, edge=edge)
            joint = "，" if person.language == "zh" else " in "
            page.line(f"{school.degree}{joint}{school.major}")
    else:
        page.line(", ".join(person.skills))


def pdf_two_columns(person: Person) -> bytes:
    """A sidebar with contact, skills and schools beside the jobs; written side after side."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    head = _Page(canvas, person, 50, 800)
    head.line(person.name, size=22, bold=True)
    side = _Page(canvas, person, 50, 745)
    for text in _contact(person):
        side.line(text, size=9)
    side.gap()
    side.line(person.headings["skills"], size=12, bold=True)
    for skill in person.skills:
        side.line(skill, size=9.5)
    side.gap()
    side.line(person.headings["education"], size=12, bold=True)
    for school in person.schools:
        side.line(school.institution, size=9.5, bold=True)
        side.line(f"{school.degree} {school.major}"[:34], size=9)
        side.line(school.dates, size=9)
    main = _Page(canvas, person, 250, 738)
    main.line(person.headings["summary"], size=12, bold=True)
    middle = len(person.summary) // 2
    at = person.summary.find(" ", middle) + 1 if " " in person.summary else middle
    main.line(person.summary[:at].strip(), size=9)
    main.line(person.summary[at:], size=9)
    main.gap()
    main.line(person.headings["experience"], size=12, bold=True)
    for job in person.jobs:
        main.line(job.title, bold=True, size=10.5)
        main.line(job.company, size=10)
        main.line(f"{job.dates}  |  {job.location}", size=9)
        for text in job.lines:
            main.line("• " + text[:70], size=9)
        main.gap()
    canvas.save()
    return buffer.getvalue()


def pdf_pages(person: Person, count: int) -> bytes:
    """The one-column résumé's text repeated on `count` pages, for limits and timing."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    for number in range(count):
        page = _Page(canvas, person, 50, 790)
        if number == 0:
            page.line(person.name, size=20, bold=True)
            page.line(" | ".join(_contact(person)))
        page.line(person.headings["experience"], size=13, bold=True)
        for job in person.jobs * 4:
            page.line(job.title, bold=True, right=job.dates)
            page.line(job.company, right=job.location)
            for text in job.lines:
                page.line("• " + text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def pdf_image_only() -> bytes:
    """A page with a drawing and no text, as a scan is."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    canvas.rect(100, 100, 300, 500, fill=1)
    canvas.save()
    return buffer.getvalue()


def pdf_encrypted(person: Person) -> bytes:
    """A PDF that opens with a password only."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, encrypt="secret")
    _Page(canvas, person, 50, 790).line(person.name)
    canvas.save()
    return buffer.getvalue()


def docx_plain(person: Person) -> bytes:
    """Headings as styles, bullets as list paragraphs."""
    document = docx.Document()
    document.add_paragraph().add_run(person.name).font.size = Pt(20)
    document.add_paragraph(" | ".join(_contact(person)))
    document.add_heading(person.headings["summary"], level=1)
    document.add_paragraph(person.summary)
    document.add_heading(person.headings["experience"], level=1)
    for job in person.jobs:
        document.add_paragraph(f"{job.title}\t{job.dates}")
        document.add_paragraph(f"{job.company}\t{job.location}")
        for text in job.lines:
            document.add_paragraph(text, style="List Bullet")
    document.add_heading(person.headings["education"], level=1)
    for school in person.schools:
        document.add_paragraph(f"{school.institution}\t{school.dates}")
        document.add_paragraph(f"{school.degree}, {school.major}")
    document.add_heading(person.headings["skills"], level=1)
    document.add_paragraph(", ".join(person.skills))
    return _saved(document)


def docx_table(person: Person) -> bytes:
    """A layout table: contact and skills left, everything else right; jobs in a table of their own."""
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = person.name
    table = document.add_table(rows=1, cols=2)
    left, right = table.rows[0].cells
    left.text = "\n".join(_contact(person))
    left.add_paragraph(person.headings["skills"])
    for skill in person.skills:
        left.add_paragraph(skill, style="List Bullet")
    right.text = person.headings["summary"]
    right.add_paragraph(person.summary)
    right.add_paragraph(person.headings["experience"])
    for job in person.jobs:
        grid = right.add_table(rows=1, cols=3)
        for cell, text in zip(grid.rows[0].cells, (job.dates, job.company, job.title), strict=True):
            cell.text = text
        for text in job.lines:
            right.add_paragraph(text, style="List Bullet")
    right.add_paragraph(person.headings["education"])
    for school in person.schools:
        grid = right.add_table(rows=1, cols=4)
        texts = (school.dates, school.institution, school.degree, school.major)
        for cell, text in zip(grid.rows[0].cells, texts, strict=True):
            cell.text = text
    return _saved(document)


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def html(person: Person) -> bytes:
    """A page with headings, lists, a script that must not be read, and a hidden block."""
    jobs = "".join(
        f"<h3>{job.title}</h3><p>{job.company} | {job.location} | {job.dates}</p>"
        f"<ul>{''.join(f'<li>{text}</li>' for text in job.lines)}</ul>"
        for job in person.jobs
    )
    schools = "".join(
        f"<tr><td>{school.institution}</td><td>{school.degree}</td><td>{school.major}</td><td>{school.dates}</td></tr>"
        for school in person.schools
    )
    return (
        "<!DOCTYPE html><html><head><meta charset='utf-8'><title>x</title><style>p{color:red}</style></head><body>"
        f"<h1>{person.name}</h1>"
        f"<p><a href='mailto:{person.email}'>{person.email}</a> · {person.phone} · {person.location}</p>"
        "<script>var email='script@example.com'</script><div style='display: none'>hidden@example.com</div>"
        f"<h2>{person.headings['summary']}</h2><p>{person.summary}</p>"
        f"<h2>{person.headings['experience']}</h2>{jobs}"
        f"<h2>{person.headings['education']}</h2><table>{schools}</table>"
        f"<h2>{person.headings['skills']}</h2><p>{', '.join(person.skills)}</p></body></html>"
    ).encode()


def text(person: Person) -> str:
    """Lines as people paste them."""
    lines = [person.name, *_contact(person), "", person.headings["summary"], person.summary]
    lines += ["", person.headings["experience"]]
    for job in person.jobs:
        lines += [f"{job.company} | {job.title} | {job.dates}", *(f"- {line}" for line in job.lines), ""]
    lines += [person.headings["education"]]
    lines += [f"{s.dates}  {s.institution}  {s.major}  {s.degree}" for s in person.schools]
    lines += ["", person.headings["skills"], ", ".join(person.skills)]
    return "\n".join(lines)


def txt_utf8(person: Person) -> bytes:
    """The text in UTF-8."""
    return text(person).encode()


def txt_gb18030(person: Person) -> bytes:
    """The text as Chinese Windows saves it."""
    return text(person).encode("gb18030")


def rtf(person: Person) -> bytes:
    """The text as RTF with every character above 127 escaped."""
    body = "".join(
        "\\par\n"
        if char == "\n"
        else f"\\{char}"
        if char in "{}\\"
        else char
        if ord(char) < 128
        else f"\\u{ord(char)}?"
        for char in text(person)
    )
    return ("{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0 Times;}}\\f0\\fs24 " + body + "}").encode(
        "ascii"
    )


LAYOUTS: dict[str, Callable[[Person], bytes]] = {
    "pdf-one-column": pdf_one_column,
    "pdf-two-columns": pdf_two_columns,
    "docx-plain": docx_plain,
    "docx-table": docx_table,
    "html": html,
    "txt-utf8": txt_utf8,
    "rtf": rtf,
}


@cache
def build(layout: str, language: str) -> bytes:
    """The person of `language` in `layout`; made once a session."""
    return LAYOUTS[layout](PERSONS[language])


@cache
def parser() -> ResumeParser:
    """The parser, built once a session: it holds no state between documents."""
    return ResumeParser()
