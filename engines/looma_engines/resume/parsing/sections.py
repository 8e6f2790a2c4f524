"""Which lines belong to which section, by their headings in Chinese and English. Pure.

Writes ``Context.sections``. A heading is a line of its own that the list knows, a known heading followed
by ":" or a tab, or a short line set like the known headings of the same document (capitals, size, bold).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, cast

from looma_engines.resume.parsing import gazetteers
from looma_engines.resume.parsing.context import Context, ParsedLine, Section, SectionKind

_DECORATION: Final = re.compile(r"^[^\w一-鿿]+|[^\w一-鿿)]+$")
_NUMBERING: Final = re.compile(r"^(?:[ivx]+|[一二三四五六七八九十]+|\d{1,2})[.、)]\s*", re.IGNORECASE)
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_INLINE: Final = re.compile(r"^([^:\t]{2,40}?)\s*(?:[:：]\s*|\t)\s*(\S.*)$")
_KEYWORDS: Final[tuple[tuple[str, SectionKind], ...]] = (
    ("volunteer", "volunteer"), ("honor", "awards"), ("award", "awards"), ("project", "projects"),
    ("certificat", "certifications"), ("licens", "certifications"), ("employment", "experience"),
    ("experience", "experience"), ("internship", "experience"), ("education", "education"),
    ("publication", "publications"), ("skills", "skills"),
    ("competenc", "skills"), ("coursework", "courses"), ("activities", "activities"), ("languages", "languages"),
    ("interests", "interests"), ("summary", "summary"),
)  # fmt: skip
_CHINESE_KEYWORDS: Final[tuple[tuple[str, SectionKind], ...]] = (
    ("工作经", "experience"), ("实习经", "experience"), ("项目经", "projects"), ("教育经", "education"),
    ("教育背景", "education"), ("技能", "skills"), ("证书", "certifications"), ("自我评价", "summary"),
    ("荣誉", "awards"), ("校园经", "activities"),
)  # fmt: skip
_MAX_HEADING_WORDS: Final = 6
#: Headings that are common words; they need a look or a line break on both sides to count.
_WEAK: Final = frozenset(
    [
        "work",
        "career",
        "web",
        "online",
        "software",
        "programming",
        "technology",
        "tools",
        "details",
        "more",
        "other",
        "personal",
        "social",
        "community",
        "research",
        "training",
        "highlights",
        "notes",
        "project",
        "skill",
        "school",
        "about",
        "links",
        "education",
        "languages",
    ]
)
#: Kinds whose heading may share its line with what it heads ("Skills: Java, Go").
_INLINE_KINDS: Final = frozenset(
    (
        "skills",
        "languages",
        "certifications",
        "interests",
        "summary",
        "courses",
        "awards",
        "education",
        "experience",
    )
)


def find_sections(context: Context) -> list[Section]:
    """Sections in the order of the text; the first, ``header``, is what stands above all headings."""
    kinds = _heading_kinds(context.lines)
    sections = [Section(kind="header", heading=None, lines=[])]
    page = 1
    for line in context.lines:
        if line.line.page != page:
            resumed = _resumed(sections, line) if line.number not in kinds else None
            if resumed is not None:
                sections.append(Section(kind=resumed.kind, heading=None, lines=[]))
            page = line.line.page
        if line.number in kinds:
            kind, rest = kinds[line.number]
            sections.append(Section(kind=kind, heading=line, lines=[rest] if rest else []))
        else:
            sections[-1].lines.append(line)
    return sections


def _resumed(sections: Sequence[Section], line: ParsedLine) -> Section | None:
    """The section that a new page carries on: the one at the foot of the same column of the page before."""
    if line.line.box is None:
        return None
    left = line.line.box[0]
    best: tuple[float, Section] | None = None
    for section in sections:
        for other in section.lines:
            box = other.line.box
            if box is None or other.line.page != line.line.page - 1 or abs(box[0] - left) > 24:
                continue
            if best is None or box[3] > best[0]:
                best = (box[3], section)
    if best is None or best[1] is sections[-1] or best[1].kind == "header":
        return None
    return best[1]


def _heading_kinds(lines: Sequence[ParsedLine]) -> dict[int, tuple[SectionKind, ParsedLine | None]]:
    """Number of each heading line: its kind, and the rest of the line where it holds more."""
    kinds: dict[int, tuple[SectionKind, ParsedLine | None]] = {}
    for at, line in enumerate(lines):
        if line.blank:
            continue
        kind = heading_kind(line.folded)
        if kind is not None and not _is_weak(line, lines, at):
            kinds[line.number] = (kind, None)
            continue
        inline = _inline_heading(line)
        if inline is not None:
            kinds[line.number] = inline
            continue
        stacked = _stacked_heading(line, lines[at + 1] if at + 1 < len(lines) else None)
        if stacked is not None:
            kinds[line.number] = stacked
    _add_styled(lines, kinds)
    return kinds


def heading_kind(folded: str) -> SectionKind | None:  # noqa: PLR0911 - one return for each row of the table
    """The kind that a heading names, or None if the line is no heading the list knows.

    | line                  | answer     |
    | --------------------- | ---------- |
    | WORK EXPERIENCE       | experience |
    | 二、教育背景            | education  |
    | 教育背景 Education      | education  |
    | ■ Technical Skills:   | skills     |
    | Experienced in Java   |            |
    """
    if len(folded) > 60 or (folded.rstrip().endswith(".") and not folded.rstrip().endswith("...")):
        return None
    plain = _DECORATION.sub("", folded.replace("\t", " ")).lower()
    plain = _NUMBERING.sub("", plain)
    known = gazetteers.headings()
    if _HAN.search(plain):
        joined = re.sub(r"\s+", "", plain)
        if joined in known:
            return cast("SectionKind", known[joined])
        # A Chinese heading with its English twin, in either order, with any mark between.
        # "工作/实习经历" is one heading, "教育背景/Education" two.
        han = "".join(re.findall(r"[\u4e00-\u9fff/]+", joined)).strip("/")
        rest = re.sub(r"[\u4e00-\u9fff/()|•&-]+", "", joined)
        if han in known and (not rest or rest.isascii()) and len(rest) <= 30 and not re.search(r"\d", rest):
            return cast("SectionKind", known[han])
        return None
    first = re.search(r"[A-Za-z]", folded)
    # A heading opens with a capital; "more" at the end of a sentence is none.
    if first is not None and first.group().islower():
        return None
    plain = re.sub(r"\s+", " ", plain)
    found = known.get(plain) or known.get(plain.replace(" and ", " & ")) or known.get(plain.replace(" ", ""))
    if found is None and re.fullmatch(r"(?:[a-z&] ){3,}[a-z]", plain):
        found = known.get(plain.replace(" ", ""))
    if found is None:
        return _qualified(folded)
    return cast("SectionKind", found)


_QUALIFIED: Final = re.compile(
    # In mixed case "Continuing Education" is a school and "Team Projects" a title; only experience is safe.
    r"(?:[A-Z][\w/&-]*\s+){1,3}(Experiences?|EXPERIENCES?|EMPLOYMENT|INTERNSHIPS?|PROJECTS|SKILLS|"
    r"CERTIFICATIONS?|AWARDS|HONORS|"
    r"ACTIVITIES|PUBLICATIONS|INTERESTS|COURSEWORK)"
)


def _qualified(folded: str) -> SectionKind | None:
    """The kind of a heading with a word in front that the list lacks ("Performance Experience")."""
    found = _QUALIFIED.fullmatch(_DECORATION.sub("", folded))
    return _guess(found.group(1)) if found else None


def _is_weak(line: ParsedLine, lines: Sequence[ParsedLine], at: int) -> bool:
    """Whether a known heading is likelier a word of the text: a bullet, or a common word without any look."""
    if line.bullet and not line.folded.rstrip().endswith(":") and line.line.size <= _usual_size(lines):
        return True
    word = line.folded.strip(" :").lower()
    if word not in _WEAK:
        return False
    upper = line.text.isupper() or line.text.istitle()
    looked = line.line.heading or line.line.bold or line.line.size > _usual_size(lines)
    before = at == 0 or lines[at - 1].blank
    return not (looked or (upper and (before or line.line.box is None)) or line.text.isupper())


def _usual_size(lines: Sequence[ParsedLine]) -> float:
    sizes = sorted(line.line.size for line in lines if line.line.size)
    return sizes[len(sizes) // 2] + 0.2 if sizes else 0.0


def _inline_heading(line: ParsedLine) -> tuple[SectionKind, ParsedLine | None] | None:
    """A heading with its content on the same line, behind ":" or a tab."""
    found = _INLINE.match(line.folded)
    if not found or line.bullet:
        return None
    kind = heading_kind(found.group(1))
    if kind is None or kind not in _INLINE_KINDS:
        return None
    tab = "\t" in line.folded[found.end(1) : found.start(2)]
    label = found.group(1).strip().lower()
    # "Languages: Java, Go" under Skills is a label, not a section; a tab shows that the label stands apart.
    if not tab and (
        label in _WEAK or kind in ("education", "experience") or not (line.line.bold or label[0] > "z")
    ):
        capital = found.group(1).isupper() or (found.group(1).istitle() and kind in ("summary", "interests"))
        if not capital:
            return None
    if tab and kind == "experience" and not line.text[:1].isupper():
        return None
    return kind, _tail(line, found.start(2))


def _stacked_heading(
    line: ParsedLine, following: ParsedLine | None
) -> tuple[SectionKind, ParsedLine | None] | None:
    """A label set on two lines beside what it labels: "Technical<tab>Java" over "Skills<tab>Spring"."""
    if following is None or "\t" not in line.folded or "\t" not in following.folded:
        return None
    first, second = line.folded.split("\t")[0], following.folded.split("\t")[0]
    kind = heading_kind(f"{first} {second}")
    if kind is None or heading_kind(first) is not None:
        return None
    following.folded = " " * (len(second) + 1) + following.folded[len(second) + 1 :]
    return kind, _tail(line, len(first) + 1)


def _tail(line: ParsedLine, at: int) -> ParsedLine:
    """The line from ``at`` on; what is before becomes spaces, so that offsets stay."""
    return ParsedLine(line=line.line, number=line.number, folded=" " * at + line.folded[at:], bullet=False)


def _add_styled(lines: Sequence[ParsedLine], kinds: dict[int, tuple[SectionKind, ParsedLine | None]]) -> None:
    """Headings that the list lacks but that look like the known ones of this document."""
    known = [line for line in lines if line.number in kinds and kinds[line.number][1] is None]
    if len(known) < 2:
        return
    upper = sum(1 for line in known if line.text.isupper()) >= 0.8 * len(known)
    bold = sum(1 for line in known if line.line.bold) >= 0.8 * len(known)
    sizes = [line.line.size for line in known if line.line.size]
    size = sorted(sizes)[len(sizes) // 2] if sizes else 0.0
    usual = _usual_size(lines)
    for line in lines[known[0].number + 1 :]:
        if line.number in kinds or line.blank or line.bullet or len(line.text) > 48 or "\t" in line.text:
            continue
        plain = _DECORATION.sub("", line.folded)
        count = len(plain.split())
        ends = line.folded.rstrip().endswith((".", ","))
        if count > _MAX_HEADING_WORDS or any(char.isdigit() for char in plain) or ends:
            continue
        matches_size = bool(size) and size > usual and abs(line.line.size - size) < 0.3
        structural = line.line.heading and any(other.line.heading for other in known)
        same_look = (not upper or line.text.isupper()) and (not bold or line.line.bold)
        guess = _guess(plain)
        if same_look and (matches_size or (structural and guess) or (guess and (upper or bold))):
            kinds[line.number] = (guess or "other", None)


def _guess(plain: str) -> SectionKind | None:
    lowered = plain.lower()
    for keyword, kind in _CHINESE_KEYWORDS:
        if keyword in plain and len(plain) <= 12:
            return kind
    for keyword, kind in _KEYWORDS:
        if keyword in lowered:
            return kind
    return None
