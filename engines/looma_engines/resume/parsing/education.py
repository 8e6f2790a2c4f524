"""Schools: institution, degree, major and dates of every entry. Writes ``Context.education``.

A new entry begins where a line brings a second school, or a second degree after the school is known;
so both orders work, school first and degree first.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import msgspec

from looma_core.api.resume import Education
from looma_engines.resume.parsing import gazetteers, recognise
from looma_engines.resume.parsing.context import Cell, Context, ParsedLine
from looma_engines.resume.parsing.dates import DateSpan, find_dates
from looma_engines.resume.parsing.degrees import find_degree
from looma_engines.resume.parsing.entries import header_cells, is_prose, main_date

_SCHOOL_WORD: Final = re.compile(
    r"\b(?:universit(?:y|é|é|à|at|ät|eit|et|ies)|universidade?|universidad|college|institut(?:e|o|"
    r"ion)?|school|academy|polytechnic\w*|"
    r"conservatory|seminary|gymnasium|lyceum|lycée|vidyalaya|vidyapeeth|faculty)\b",
    re.IGNORECASE,
)
_CHINESE_SCHOOL: Final = re.compile(
    r"[\u4e00-\u9fffA-Za-z（）()•·]{2,24}?(?:大学|学院|学校|中学|高中|职高|技校|研究院|研究所|党校|"
    r"专科学校|师范|附中|中专|培训中心)"
    # "中国地质大学（武汉）" has a campus in its brackets, "青岛海洋学院（本科）" a degree.
    r"(?:[（(](?!本科|专科|大专|学士|硕士|博士|研究生|统招|自考|函授|全日制|在职)[\u4e00-\u9fff]{2,6}[)）])?"
    r"(?:[\u4e00-\u9fff]{2,12}(?:学院|分校|研究生院|校区))?"
)
_NOT_SCHOOL: Final = re.compile(
    r"\b(?:gpa|coursework|courses?|dean|honou?rs?|award|scholarship|thesis|relevant|club|society|"
    r"member|minor in|cum laude|distinction|first class|thesis)\b|主修课程|课程|成绩|排名|奖学金|绩点",
    re.IGNORECASE,
)
_MAJOR_LEAD: Final = re.compile(
    r"^\s*(?:degree\s+)?(?:\((?:hons?|honours)\)\s*)?"
    r"(?:(?:in|of|,|-|:|\(|major(?:ing|ed)?(?:\s+in)?:?|majors?:|specializ\w+ in|专业[:：]?)\s*)+",
    re.IGNORECASE,
)
_MAJOR_LABEL: Final = re.compile(
    r"(?:majors?(?!\s*gpa)(?:ed)?(?:\s+in)?|concentration(?:\s+in)?|specialization(?:\s+in)?|"
    r"field of study|专业名称|所学专业|主修专业|主修|专业)\s*[:：]?\s*",
    re.IGNORECASE,
)
_MAJOR_STOP: Final = re.compile(
    r"\s*(?:[,;|•\t(]|\s-\s|\bwith\b|\bgpa\b|\bat\b|\bfrom\b|\bminor\b|\bcum laude\b|\bmagna\b|"
    r"\bsumma\b|\bhonou?rs\b|\bfirst class\b|\d|:|\.\s|\.$)",
    re.IGNORECASE,
)


class Draft(msgspec.Struct, kw_only=True):
    """A school while its lines are read."""

    institution: Cell | None = None
    degree: Cell | None = None
    degree_name: str | None = None
    major: Cell | None = None
    date: DateSpan | None = None
    spare: list[Cell] = []
    first_line: int = 0


def find_education(context: Context) -> None:
    """Fill ``context.education`` from all sections of that kind."""
    drafts: list[Draft] = []
    for section in context.of("education"):
        current: Draft | None = None
        held: Draft | None = None
        filled = [line for line in section.lines if line.folded.strip()]
        for at, line in enumerate(filled):
            line.dates = list(find_dates(line.folded, offset=line.start))
            if (
                (line.bullet and not _bullet_counts(filled))
                or _NOT_SCHOOL.match(line.folded.strip(" •"))
                or _is_remark(line.folded)
                or _is_sentence(line, filled, at)
            ):
                continue
            facts = read_line(context, line)
            if facts is None:
                continue
            if current is not None and _is_part_of(current, facts):
                continue
            if held is not None:
                # The line above had a name alone: of this entry, if it opens one.
                facts.spare = [*held.spare, *facts.spare] if facts.institution is None else facts.spare
                held = None
                current = facts
                drafts.append(current)
            elif current is None or _begins(current, facts):
                current = facts
                drafts.append(current)
            elif _is_name_alone(facts) and _is_complete(current):
                held = facts
            else:
                _merge(current, facts)
    for draft in drafts:
        _settle(context, draft)
        if draft.institution is None and draft.degree is None:
            continue
        context.note(draft.institution, "SCHOOL")
        context.note(draft.degree, "EDU")
        context.note(draft.major, "PRO")
        context.education.append(_education(context, draft))


def _is_sentence(line: ParsedLine, filled: list[ParsedLine], at: int) -> bool:
    return (
        is_prose(line, filled, at)
        and not _SCHOOL_WORD.search(line.folded)
        and not recognise.HAN.search(line.folded)
        and find_degree(line.folded) is None
    )


def _is_remark(folded: str) -> bool:
    """Whether the line tells of marks and honours alone ("Cumulative GPA: 3.9; Dean's List 2015-2016")."""
    return (
        bool(_NOT_SCHOOL.search(folded))
        and not _SCHOOL_WORD.search(folded)
        and not recognise.HAN.search(folded)
        and find_degree(folded) is None
        and not _MAJOR_LABEL.match(folded.strip())
        # A line that opens with its dates is about the school, whatever marks follow.
        and not any(date.is_range and date.start <= 2 for date in find_dates(folded))
    )


def _bullet_counts(filled: list[ParsedLine]) -> bool:
    """Whether the section is a list of bullets, a school each."""
    return all(line.bullet for line in filled)


def read_line(context: Context, line: ParsedLine) -> Draft | None:
    """What one line says of a school, or None if nothing."""
    draft = Draft(date=main_date(line.dates), first_line=line.number)
    for cell in header_cells(context, line):
        _read_cell(context, cell, draft)
    if (
        draft.institution is None
        and draft.degree is None
        and draft.major is None
        and draft.date is None
        and not draft.spare
    ):
        return None
    return draft


def _read_cell(context: Context, cell: Cell, draft: Draft) -> None:
    if recognise.is_place(cell.folded) or re.match(r"^\s*gpa|绩点", cell.folded, re.IGNORECASE):
        return
    text = cell.folded
    if recognise.HAN.search(text):
        _read_chinese(context, cell, draft)
        return
    degree = find_degree(text)
    if degree is not None and draft.degree is None:
        draft.degree = context.cell(cell.start + degree[0], cell.start + degree[1])
        draft.degree_name = degree[2]
        major = _major_after(context, cell, degree[1])
        draft.major = draft.major or major
        outside = [
            (cell.start, cell.start + degree[0]),
            (major.end if major else cell.start + degree[1], cell.end),
        ]
        for low, high in outside:
            for piece in re.split(r"(?:,| - |;|\bfrom\b|\bat\b|\.\s)", context.folded[low:high]):
                at = context.folded.find(piece, low)
                rest = context.cell(at, at + len(piece))
                if rest.text and draft.institution is None and _is_school(rest.folded):
                    draft.institution = rest
                elif (
                    rest.text and draft.major is None and low < draft.degree.start and _is_major(rest.folded)
                ):
                    draft.major = rest
        if draft.institution is None:
            school = _school_in(context, context.cell(*outside[1]))
            draft.institution = school
        return
    if draft.institution is None and _is_school(text):
        draft.institution = _school_in(context, cell) or cell
        return
    label = _MAJOR_LABEL.match(text)
    if draft.major is None and (label or _is_major(text)):
        begin = label.end() if label else 0
        stop = _MAJOR_STOP.search(text, begin) if label else None
        draft.major = context.cell(cell.start + begin, cell.start + stop.start() if stop else cell.end)
        return
    if text[:1].isupper() and 2 <= len(text) <= 80 and not _NOT_SCHOOL.search(text):
        draft.spare.append(cell)


def _read_chinese(context: Context, cell: Cell, draft: Draft) -> None:
    text = cell.folded
    taken: list[tuple[int, int]] = []
    school = _CHINESE_SCHOOL.search(
        re.sub(r"^(?:毕业院校|学校名称|学校|院校|毕业学校)[:：]\s*", lambda m: " " * len(m.group()), text)
    )
    degree = _chinese_degree().search(text, school.end() if school else 0) or _chinese_degree().search(text)
    if school and not _NOT_SCHOOL.search(school.group()) and draft.institution is None:
        taken.append(school.span())
        draft.institution = context.cell(cell.start + school.start(), cell.start + school.end())
    if degree and draft.degree is None and not any(a <= degree.start() < b for a, b in taken):
        taken.append(degree.span())
        draft.degree = context.cell(cell.start + degree.start(), cell.start + degree.end())
        draft.degree_name = draft.degree.text
    if draft.major is None:
        masked = "".join(" " if any(a <= at < b for a, b in taken) else char for at, char in enumerate(text))
        for found in re.finditer(r"[^\s/|,，;；:：()（）-]+", masked):
            word = found.group()
            stem = word.removesuffix("专业")
            if (
                stem in _chinese_majors()
                or (word.endswith("专业") and 2 <= len(stem) <= 14)
                or _major_shaped(stem, school is not None)
            ):
                draft.major = context.cell(cell.start + found.start(), cell.start + found.start() + len(stem))
                break
        else:
            # Neither a school nor a degree nor a known major: a major that the list lacks, if it stands alone.
            if (
                not taken
                and 2 <= len(text) <= 16
                and not _NOT_SCHOOL.search(text)
                and re.fullmatch(r"[\u4e00-\u9fff（）()]+", text)
            ):
                draft.spare.append(cell)


def _major_shaped(word: str, after_school: bool) -> bool:
    return (
        after_school
        and 2 < len(word) <= 14
        and word.endswith(
            (
                "学",
                "工程",
                "技术",
                "管理",
                "科学",
                "设计",
                "教育",
                "贸易",
                "自动化",
                "制造",
                "营销",
                "语言文学",
                "类",
            )
        )
    )


@cache
def _chinese_degree() -> re.Pattern[str]:
    return re.compile(gazetteers.alternation(gazetteers.words("schools.txt", "degrees-chinese")))


@cache
def _chinese_majors() -> frozenset[str]:
    return frozenset(gazetteers.words("schools.txt", "majors-chinese"))


@cache
def _english_majors() -> frozenset[str]:
    return frozenset(word.lower() for word in gazetteers.words("schools.txt", "majors-english"))


@cache
def _school_names() -> re.Pattern[str]:
    return re.compile(
        rf"(?<!\w){gazetteers.alternation(gazetteers.words('schools.txt', 'school-names-english'))}(?!\w)"
    )


def _major_after(context: Context, cell: Cell, at: int) -> Cell | None:
    """The major behind a degree: "B.S. in Computer Science, State University" has Computer Science."""
    rest = cell.folded[at:]
    lead = _MAJOR_LEAD.match(rest)
    begin = lead.end() if lead else len(rest) - len(rest.lstrip())
    stop = _MAJOR_STOP.search(rest, begin)
    end = stop.start() if stop else len(rest)
    major = context.cell(cell.start + at + begin, cell.start + at + end)
    if not major.text or len(major.text) > 70 or _is_school(major.folded) or recognise.is_place(major.folded):
        return None
    return (
        major
        if major.folded[:1].isalpha() and len(major.folded) > 1 and not find_dates_only(major.folded)
        else None
    )


def find_dates_only(folded: str) -> bool:
    """Whether the text is nothing but a date."""
    return any(date.start == 0 and date.end >= len(folded) for date in find_dates(folded))


def _is_major(folded: str) -> bool:
    text = re.sub(r"^(?:in|of)\s+", "", folded.strip(" .").lower())
    return text in _english_majors() or (
        len(text.split()) <= 6
        and any(part.strip() in _english_majors() for part in re.split(r"\s+(?:and|&)\s+|/", text))
    )


def _is_school(folded: str) -> bool:
    if len(folded) > 110 or _NOT_SCHOOL.search(folded):
        return False
    return bool(_SCHOOL_WORD.search(folded) or _school_names().search(folded))


def _school_in(context: Context, cell: Cell) -> Cell | None:
    """The school's own name in a cell that also says where it is."""
    if not _is_school(cell.folded):
        return None
    at = recognise.trailing_place(cell.folded)
    # "University of California, Berkeley" keeps its campus; "State University, Austin, TX" does not keep its town.
    if at is not None and ("," in cell.folded[at:] or not re.search(r"\bof\b", cell.folded[:at])):
        return context.cell(cell.start, cell.start + at)
    return cell


_PART: Final = re.compile(r"^(?:college|school|faculty|department|institute|division) of\b", re.IGNORECASE)


def _is_part_of(current: Draft, facts: Draft) -> bool:
    """Whether the line names a part of the school that is known already ("College of Engineering")."""
    return (
        current.institution is not None
        and facts.institution is not None
        and facts.degree is None
        and facts.date is None
        and bool(_PART.match(facts.institution.folded))
    )


def _is_name_alone(facts: Draft) -> bool:
    return bool(facts.spare) and facts.institution is None and facts.degree is None and facts.date is None


def _is_complete(current: Draft) -> bool:
    # A school that no list knows waits among the spare cells.
    named = current.institution is not None or bool(current.spare)
    return named and current.degree is not None and current.date is not None


def _begins(current: Draft, facts: Draft) -> bool:
    """Whether the line opens another school."""
    if facts.institution is not None and current.institution is not None:
        return True
    if facts.degree is not None and current.degree is not None:
        return True
    if (
        facts.degree is None
        and facts.institution is None
        and facts.date is not None
        and current.date is not None
    ):
        # A dated line without a hint: a school the list lacks, named before its degree.
        return bool(facts.spare)
    if facts.degree is not None and facts.date is not None and current.date is not None:
        # A second dated degree, though the first entry may lack one (a course without a degree).
        return current.institution is not None and (current.degree is not None or bool(current.spare))
    return False


def _merge(current: Draft, facts: Draft) -> None:
    current.institution = current.institution or facts.institution
    if current.degree is None:
        current.degree, current.degree_name = facts.degree, facts.degree_name
    current.major = current.major or facts.major
    if current.date is None or (facts.date is not None and facts.date.is_range and not current.date.is_range):
        current.date = facts.date or current.date
    current.spare += facts.spare


def _settle(context: Context, draft: Draft) -> None:
    """Give the cells that no list knew a meaning by what is still missing."""
    spare = [cell for cell in draft.spare if not recognise.is_place(cell.folded)]
    if draft.institution is None and spare:
        at = recognise.trailing_place(spare[0].folded)
        draft.institution = context.cell(spare[0].start, spare[0].start + at) if at else spare[0]
        if (
            recognise.HAN.search(draft.institution.folded)
            and draft.degree is not None
            and draft.major is None
        ):
            draft.major, draft.institution = draft.institution, None
    elif (
        draft.degree is None and draft.major is None and spare and recognise.HAN.search(spare[0].folded)
    ) or (draft.major is None and spare and recognise.HAN.search(spare[0].folded)):
        draft.major = spare[0]


def _education(context: Context, draft: Draft) -> Education:
    date = draft.date
    first = date.first.iso() if date and date.first and date.is_range else None
    last = (date.last if date.is_range else date.first) if date else None
    return Education(
        institution=_line(draft.institution),
        degree=_line(draft.degree),
        major=_line(draft.major),
        start=first,
        end=last.iso() if last else None,
        dates=context.text[date.start : date.end] if date else None,
    )


def _line(cell: Cell | None) -> str | None:
    return " ".join(cell.text.split())[:300] if cell is not None else None
