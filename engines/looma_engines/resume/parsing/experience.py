"""Jobs: title, company, place, dates and description of every entry. Writes ``Context.experience``.

``read_header`` decides what the cells of one header mean; it knows the company of the entry before,
since several roles may stand under one employer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from looma_core.api.resume import Experience
from looma_engines.resume.parsing import recognise
from looma_engines.resume.parsing.context import Cell, Context
from looma_engines.resume.parsing.entries import Entry, body_text, find_entries, header_cells

_WEAK_SPLIT: Final = re.compile(
    r"\s+-+\s+|\s+/\s+(?![^()]*\))|\s+at\s+|\s*@\s*|,\s+|:\s+|\s+>\s+|;\s+|\.\s+(?=[A-Z])|\s+\(|\)\s*"
)
_LABELS: Final = re.compile(
    r"^(?:(?P<company>公司名称|公司|单位名称|单位|企业名称|工作单位|就职公司|任职公司|company|employer|client)"
    r"|(?P<title>职位名称|职位|岗位|担任职位|职务|工作职位|担任职务|所任职位|title|role|position|"
    r"designation|job title)"
    r"|(?P<place>工作地点|地点|location)|(?P<other>部门|所在部门|行业|所属行业|规模|性质|薪资|汇报对象|"
    r"下属人数|离职原因|证明人|department))\s*[:：]\s*",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(
    r"^(?:(?:少于)?\d+(?:-\d+)?人(?:以上|以下)?|民营(?:公司|企业)?|国企|外资.*|合资.*|上市公司|私营.*|"
    r"事业单位|计算机软件|互联网.*|全职|兼职|实习|"
    r"full[- ]?time|part[- ]?time|contract|internship|freelance|permanent|temporary|"
    r"\d+\+?\s*(?:months?|years?|mos|yrs).*)$",
    re.IGNORECASE,
)


_BEFORE_COMPANY: Final = re.compile(r"(?:\s+at|\s*@)$")
_CAMPUS: Final = re.compile(r"\b(?:university|college) of\b", re.IGNORECASE)
_ABBREVIATED: Final = re.compile(r"\b(?:inc|ltd|corp|co|llc|s\.a|l\.p|jr|sr|u\.s|dept|\w)\.$", re.IGNORECASE)


class Header(msgspec.Struct, kw_only=True):
    """What the cells of a header mean."""

    title: Cell | None = None
    company: Cell | None = None
    place: Cell | None = None


def find_experience(context: Context) -> None:
    """Fill ``context.experience`` from all sections of that kind."""
    lines = [line for section in context.of("experience") for line in section.lines]
    entries = find_entries(context, lines, is_header=_is_header, is_field=_is_field)
    company: Cell | None = None
    for entry in entries:
        header = read_entry(context, entry, employer=company)
        if header.title is None and header.company is None:
            continue
        # A role below another role of the same employer names no employer of its own.
        if header.company is None and company is not None and header.title is not None:
            header = Header(title=header.title, company=company, place=header.place)
        company = header.company or company
        context.note(header.title, "TITLE")
        context.note(header.company, "SCHOOL" if _is_school(header.company) else "ORG")
        context.note(header.place, "LOC", source=2, score=0.8)
        context.experience.append(_job(context, entry, header))


def _job(context: Context, entry: Entry, header: Header) -> Experience:
    date = entry.date
    start = date.first.iso() if date and date.first else None
    last = date.last or (None if date.present else date.first) if date else None
    return Experience(
        title=_name(header.title),
        company=_name(header.company),
        location=_name(header.place),
        start=start,
        end=last.iso() if last else None,
        dates=context.text[date.start : date.end] if date else None,
        description=(body_text(entry.body) or "")[:20_000] or None,
    )


def _name(cell: Cell | None) -> str | None:
    return " ".join(cell.text.split())[:300] if cell is not None else None


def _is_school(cell: Cell | None) -> bool:
    return cell is not None and bool(re.search(r"universit|college|大学|学院$", cell.folded, re.IGNORECASE))


def _is_header(folded: str) -> bool:
    return recognise.title_strength(folded) == 2 or recognise.organisation_strength(folded) == 2


def _is_field(folded: str) -> bool:
    """Whether a line is a row of a form ("职位：测试工程师", "Location: Bergen")."""
    return _LABELS.match(folded.strip()) is not None


def read_entry(context: Context, entry: Entry, *, employer: Cell | None) -> Header:
    """The header of an entry; ``employer`` is the one of the entry before."""
    rows = [header_cells(context, line) for line in entry.header]
    cells = [cell for row in rows for cell in row]
    # A role of one line below an employer's own line: what follows its comma is a team.
    return read_header(context, cells, under_employer=employer is not None and len(entry.header) == 1)


def read_header(context: Context, cells: Sequence[Cell], *, under_employer: bool = False) -> Header:
    """What the cells of a header mean.

    Args:
        context: the document.
        cells: the pieces of the header's lines, dates taken out.
        under_employer: an entry before named an employer that this role may belong to.

    | cells                                           | title             | company     | place       |
    | ----------------------------------------------- | ----------------- | ----------- | ----------- |
    | Acme Corp / Springfield, IL / Staff Engineer      | Staff Engineer    | Acme Corp   | Springfield, IL |
    | Software Engineer - Acme                          | Software Engineer | Acme        |             |
    | Engineer II, Payments / Wingtip / Chicago, IL     | Engineer II, Payments | Wingtip | Chicago, IL |
    | 星河科技有限公司 / 算法工程师                        | 算法工程师          | 星河科技有限公司 |          |
    """
    header = Header()
    titles: list[Cell] = []
    others: list[Cell] = []
    for cell in cells:
        for piece in _pieces(context, cell):
            _place_cell(context, piece, header, titles, others)
    if titles and header.title is None:
        header.title = titles[0]
    if header.company is None:
        header.company = _company(others, header.title)
    if header.title is not None and header.company is None and len(titles) > 1:
        # "Google Assistant" reads like a title; on a line of its own beside a title it is the employer.
        header.company = titles[1]
    elif header.title is not None and header.company is None:
        _split_title(context, header, under_employer=under_employer)
    elif header.title is None and header.company is not None:
        _title_from_rest(context, header, others)
    return header


def _place_cell(
    context: Context, piece: Cell, header: Header, titles: list[Cell], others: list[Cell]
) -> None:
    """Put one piece where it belongs."""
    label = _LABELS.match(piece.folded)
    if label:
        rest = context.cell(piece.start + label.end(), piece.end)
        if label.group("company"):
            header.company = rest
        elif label.group("title"):
            header.title = rest
        elif label.group("place"):
            header.place = rest
        return
    if _NOISE.match(piece.folded):
        return
    if recognise.is_place(piece.folded):
        header.place = header.place or piece
        return
    at = recognise.trailing_place(piece.folded)
    # A campus is a part of the name ("University of California, Berkeley").
    campus = at is not None and bool(_CAMPUS.search(piece.folded[:at])) and "," not in piece.folded[at:]
    if at is not None and not campus:
        header.place = header.place or context.cell(piece.start + at, piece.end)
        piece = context.cell(piece.start, piece.start + at)
    if piece.folded.endswith(".") and not _ABBREVIATED.search(piece.folded):
        piece = context.cell(piece.start, piece.end - 1)
    (titles if recognise.title_strength(piece.folded) == 2 else others).append(piece)


def _pieces(context: Context, cell: Cell) -> list[Cell]:
    """A Chinese cell may hold company, department and title parted by spaces or by nothing at all."""
    if not recognise.HAN.search(cell.folded):
        return [cell]
    parts: list[Cell] = []
    position = cell.start
    for found in re.finditer(r"\s+|\s*[-/]\s*(?=[\u4e00-\u9fff])|[，,;；]", cell.folded):
        parts.append(context.cell(position, cell.start + found.start()))
        position = cell.start + found.end()
    parts.append(context.cell(position, cell.end))
    out: list[Cell] = []
    for part in parts:
        out += _unglued(context, part)
    return [part for part in out if part.text]


def _unglued(context: Context, cell: Cell) -> list[Cell]:
    """A cell without separators ("软件工程师星河科技有限公司") as two, by where a company ends or a title does."""
    text = cell.folded
    if recognise.title_strength(text) and not re.search(r"公司|集团|银行|医院", text):
        return [cell]
    company = re.search(
        r"^.*?(?:股份有限公司|有限责任公司|有限公司|集团|总公司|分公司|公司|银行|医院|"
        r"事务所)(?:[\u4e00-\u9fff]{2,8}分公司)?",
        text,
    )
    if company and company.end() < len(text):
        rest = text[company.end() :]
        if recognise.title_strength(rest):
            return [
                context.cell(cell.start, cell.start + company.end()),
                context.cell(cell.start + company.end(), cell.end),
            ]
    title = re.match(rf"[\u4e00-\u9fffA-Za-z+#.]{{0,10}}?{recognise.chinese_titles()}", text)
    if title and 0 < title.end() < len(text) and recognise.organisation_strength(text[title.end() :]) == 2:
        return [
            context.cell(cell.start, cell.start + title.end()),
            context.cell(cell.start + title.end(), cell.end),
        ]
    return [cell]


def _company(others: Sequence[Cell], title: Cell | None) -> Cell | None:
    """The likeliest company: with a company's ending first, else the first that is not a sentence."""
    named = [cell for cell in others if recognise.organisation_strength(cell.folded) == 2]
    if named:
        return named[0]
    plain = [
        cell for cell in others if 2 <= len(cell.text) <= 80 and any(char.isalpha() for char in cell.text)
    ]
    if title is not None:
        # What stands on a line of its own beside the title is its employer; a team is written after a comma.
        capital = [cell for cell in plain if _opens_like_name(cell.text)]
        return capital[0] if capital else None
    return plain[0] if plain else None


def _opens_like_name(text: str) -> bool:
    """Whether the first word is written like a name: "Acme", "3M", "eBay", any Chinese word."""
    return text[0].isdigit() or text[0] > "z" or any(char.isupper() for char in text.split(maxsplit=1)[0])


def _split_title(context: Context, header: Header, *, under_employer: bool) -> None:
    """A title cell that holds the company too: "Software Engineer - Acme", "Acme: Senior Analyst"."""
    cell = header.title
    if cell is None:
        return
    parts: list[Cell] = []
    marks: list[str] = []
    position = cell.start
    for found in _WEAK_SPLIT.finditer(cell.folded):
        # "Acme Cloud, Inc." and "Danggeun Pay Co., Ltd." hold a comma of their own.
        if found.group().startswith(",") and _LEGAL.match(cell.folded, found.end()):
            continue
        parts.append(context.cell(position, cell.start + found.start()))
        marks.append(found.group().strip())
        position = cell.start + found.end()
    parts.append(context.cell(position, cell.end))
    parts = [part for part in parts if part.text]
    if len(parts) < 2:
        return
    strengths = [recognise.title_strength(part.folded) for part in parts]
    first, last = parts[0], parts[-1]
    if strengths[0] == 2 and strengths[-1] < 2:
        company = last
        if marks == [","] and _is_team(last.folded, under_employer=under_employer):
            return
        title = context.cell(cell.start, company.start)
        joint = _BEFORE_COMPANY.search(title.folded)
        header.title = context.cell(title.start, title.start + joint.start()) if joint else title
        header.company = company
    elif strengths[-1] == 2 and strengths[0] < 2:
        header.company, header.title = first, context.cell(parts[1].start, cell.end)


_TEAM: Final = re.compile(
    r"\b(?:platform|infrastructure|team|payments?|core|services?|backend|frontend|mobile|identity|"
    r"reliability|operations|data|ml|ai|web|"
    r"growth|engineering|product|design|security|research|marketing|sales|development|cloud|search|"
    r"ads|north|south|east|west|emea|apac)\b",
    re.IGNORECASE,
)


_LEGAL: Final = re.compile(r"(?:inc|llc|ltd|llp|corp|co|gmbh|plc|pvt|limited|s\.a)\b", re.IGNORECASE)


def _is_team(folded: str, *, under_employer: bool) -> bool:
    """Whether what follows a title's comma is a team and no company."""
    if re.search(
        r"\b(?:inc|llc|ltd|llp|corp|co|gmbh|plc|pvt|group|bank|university|college)\b", folded, re.IGNORECASE
    ):
        return False
    return bool(_TEAM.search(folded)) and (under_employer or recognise.organisation_strength(folded) == 0)


def _title_from_rest(context: Context, header: Header, others: Sequence[Cell]) -> None:
    """No cell was surely a title: split the company's cell, or take a weaker one."""
    company = header.company
    if company is None:
        return
    for found in re.finditer(r"\s+-+\s+|,\s+|:\s+|\s+at\s+|\s+as\s+", company.folded):
        left = context.cell(company.start, company.start + found.start())
        right = context.cell(company.start + found.end(), company.end)
        for name, role in ((left, right), (right, left)):
            if recognise.title_strength(role.folded) >= 1 and recognise.title_strength(name.folded) == 0:
                header.company, header.title = name, role
                return
    rest = [cell for cell in others if cell is not company and len(cell.text) <= 80]
    weak = [cell for cell in rest if recognise.title_strength(cell.folded) == 1]
    if weak:
        header.title = weak[0]
    elif rest and recognise.organisation_strength(rest[0].folded) < 2:
        header.title = rest[0]
