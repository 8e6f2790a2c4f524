"""Name, e-mail, phone, place and links. Writes ``Context.contact`` and ``headline``.

E-mail and phone are looked for in the whole text, since sidebars and footers hold them too, but what
stands nearest to the top wins. A phone number is given in E.164 where the text has its country code (or
it is a Chinese mobile number), else as written.
"""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from looma_core.api.resume import Contact
from looma_engines.resume.parsing import recognise
from looma_engines.resume.parsing.context import Cell, Context
from looma_engines.resume.parsing.person import find_name

_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w@])", re.ASCII
)
_SPACED_EMAIL: Final = re.compile(
    r"(?<![\w.+-])([\w.+-]{2,64})\s?(?:@|\[at\]|\(at\))\s?((?:[A-Za-z0-9-]+\.){1,4}[A-Za-z]{2,24})", re.ASCII
)
_PHONE: Final = re.compile(r"(?<![\w./@-])(?:\+|\(\+?|00)?\d[\d\s().•-]{6,22}\d(?![\w/])")
_PHONE_LABEL: Final = re.compile(
    r"(?:phone|tel|mobile|cell|contact|call|ph|电话|手机|联系方式|tel\.|mob)[a-z ]*[.:：]?\s*$", re.IGNORECASE
)
_URL: Final = re.compile(
    r"(?<![\w@.])(?:https?://[^\s,;|<>()\"'一-鿿，。；]+|www\.[\w-]+\.[^\s,;|<>()\"'一-鿿，。；]+"
    r"|(?:linkedin\.com|github\.com|gitlab\.com|gitee\.com|medium\.com|stackoverflow\.com|kaggle\.com|behance\.net|"
    r"dribbble\.com|twitter\.com|x\.com|leetcode\.com|zhihu\.com|juejin\.cn|csdn\.net|"
    r"[\w-]+\.github\.io|[\w.-]+\.(?:dev|io|me|design|tech|xyz))"
    r"(?:/[^\s,;|<>()\"'一-鿿，。；]*)?)",
    re.IGNORECASE,
)
_CHINESE_PLACE_LABEL: Final = re.compile(
    r"(?:现居住?地?|居住地|现居城市|所在地|所在城市|现所在地|工作地点|常住地|现住址|住址|地址|"
    r"居住城市|城市|期望城市|所在地区|通讯地址|家庭住址|Address|籍贯|户籍|户口)\s*[:：]\s*([^\s|"
    r",，;；。]{2,40})",
    re.IGNORECASE,
)
_ENGLISH_PLACE_LABEL: Final = re.compile(
    r"(?:address|location|based in|city|residence)\s*[:：]?\s*([^\t|•]{4,70})", re.IGNORECASE
)
_CHINESE_MOBILE: Final = re.compile(r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}")


def find_contact(context: Context) -> None:
    """Fill ``context.contact`` and note the spans of what was found."""
    name = find_name(context)
    emails = _emails(context)
    phones = _phones(context)
    place = _place(context)
    context.note(name, "NAME", source=0, score=0.95)
    for cell in emails:
        context.note(cell, "EMAIL", source=0, score=1.0)
    for cell, _ in phones:
        context.note(cell, "PHONE", source=0, score=0.95)
    context.note(place, "LOC", source=1, score=0.85)
    context.contact = Contact(
        full_name=_written_name(name),
        email=_email_text(emails, context),
        phone=phones[0][1] if phones else None,
        location=place.text if place else None,
        links=_links(context),
    )
    context.headline = _headline(context, name)


def _written_name(cell: Cell | None) -> str | None:
    if cell is None:
        return None
    if recognise.HAN.search(cell.text):
        return cell.text.replace(" ", "")
    text = " ".join(cell.text.split())
    # Capitals are a matter of type; initials and particles are kept.
    return " ".join(_title_case(word) for word in text.split()) if text.isupper() else text


def _title_case(word: str) -> str:
    if len(word.rstrip(".")) <= 1 or "." in word[:-1]:
        return word
    # "O'SOLBERG" is O'Solberg.
    return re.sub(r"[^\W\d_]+", lambda found: found.group().capitalize(), word)


def _emails(context: Context) -> list[Cell]:
    found = [Cell(m.start(), m.end(), m.group(), m.group()) for m in _EMAIL.finditer(context.folded)]
    return found or [
        Cell(m.start(), m.end(), f"{m.group(1)}@{m.group(2)}", m.group())
        for m in _SPACED_EMAIL.finditer(context.folded)
    ]


def _email_text(emails: list[Cell], context: Context) -> str | None:
    if emails:
        return emails[0].text
    for link in context.document.links:
        if link.startswith("mailto:") and "@" in link:
            return link.removeprefix("mailto:").split("?")[0]
    return None


def _phones(context: Context) -> list[tuple[Cell, str]]:
    """Phone numbers with how they are given, the labelled and valid ones first."""
    ranked: list[tuple[int, int, Cell, str]] = []
    for line in context.lines[:400]:
        for found in _PHONE.finditer(line.folded):
            cell = context.cell(line.start + found.start(), line.start + found.end())
            if cell.folded.startswith(("+", "(")) is False and context.folded[
                cell.start - 1 : cell.start
            ] in ("+", "("):
                cell = Cell(
                    cell.start - 1,
                    cell.end,
                    context.text[cell.start - 1 : cell.end],
                    context.folded[cell.start - 1 : cell.end],
                )
            labelled = bool(_PHONE_LABEL.search(line.folded[: found.start()]))
            written = phone_number(cell.folded, chinese=context.language == "zh", labelled=labelled)
            if written is not None:
                # As it stands in the text, not as folded: the person may have chosen its marks.
                ranked.append(
                    (
                        0 if labelled else 1,
                        cell.start,
                        cell,
                        written if written.startswith("+") else cell.text,
                    )
                )
    ranked.sort(key=lambda item: (item[1] > 2000, item[0], item[1]))
    return [(cell, written) for _, _, cell, written in ranked]


def phone_number(folded: str, *, chinese: bool, labelled: bool = False) -> str | None:
    """A phone number in E.164 where it is complete, as written where it is not, None if it is none.

    | text              | answer          |
    | ----------------- | --------------- |
    | +1 312 555 0123   | +13125550123    |
    | (312) 555-0123    | (312) 555-0123  |
    | 13800138000       | +8613800138000  |
    | 2019 - 2021       |                 |
    """
    digits = re.sub(r"\D", "", folded)
    if not 7 <= len(digits) <= 15:
        return None
    if _CHINESE_MOBILE.fullmatch(folded.strip()):
        return "+86" + digits[-11:]
    if re.fullmatch(
        r"(?:19|20)\d\d\D+(?:19|20)\d\d|(?:19|20)\d\d[.-]\d\d?\D+(?:19|20)\d\d.*", folded.strip()
    ):
        return None
    region = "CN" if chinese else "US"
    text = (
        "+" + folded.lstrip("(+ ").replace(")", "", 1 if folded.startswith("(+") else 0)
        if "+" in folded[:2]
        else folded
    )
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if "+" in folded[:2]:
        possible = phonenumbers.is_possible_number(number)
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if possible else None
    shaped = bool(re.fullmatch(r"\(?\d{3}\)?[\s.•-]?\d{3}[\s.•-]?\d{4}", folded.strip()))
    valid = phonenumbers.is_valid_number(number) and (len(digits) >= 10 or labelled)
    return folded.strip() if shaped or valid or (labelled and len(digits) >= 7) else None


def _place(context: Context) -> Cell | None:
    """Where the person lives: behind a label, else among the lines above the first section."""
    header = [line for section in context.of("header", "contact") for line in section.lines if not line.blank]
    if context.language == "zh":
        for line in context.lines[:60]:
            found = _CHINESE_PLACE_LABEL.search(line.folded)
            if found:
                return context.cell(line.start + found.start(1), line.start + found.end(1))
    for line in header[:25]:
        for cell in _header_cells(context, line.start, line.start + len(line.folded)):
            if recognise.is_place(cell.folded):
                return cell
    for line in header[:25]:
        if (
            "@" in line.folded
            and "\t" not in line.folded
            and "|" not in line.folded
            and "•" not in line.folded
        ):
            continue
        label = _ENGLISH_PLACE_LABEL.search(line.folded)
        base = label.start(1) if label else 0
        span = recognise.find_place(line.folded[base:])
        if (
            span is not None
            and recognise.HAN.search(line.folded)
            and not _stands_free(line.folded, base, span)
        ):
            continue
        if span is not None and (
            label or "," in line.folded[base + span[0] : base + span[1]] or context.language == "zh"
        ):
            return context.cell(line.start + base + span[0], line.start + base + span[1])
    return None


def _stands_free(folded: str, base: int, span: tuple[int, int]) -> bool:
    """Whether a Chinese place is a word of its own: "北京" in "北京大学" is none."""
    around = (folded[base + span[0] - 1 : base + span[0]], folded[base + span[1] : base + span[1] + 1])
    return not any(recognise.HAN.match(char) for char in around if char)


def _header_cells(context: Context, start: int, end: int) -> list[Cell]:
    cells = []
    position = start
    for found in re.finditer(
        r"\t|\s{2,}|\s*[|•;，/]\s*|\s+-\s+|(?:address|location)\s*:\s*",
        context.folded[start:end],
        re.IGNORECASE,
    ):
        cells.append(context.cell(position, start + found.start()))
        position = start + found.end()
    cells.append(context.cell(position, end))
    return [cell for cell in cells if cell.text]


def _links(context: Context) -> list[str]:
    """Web addresses of the text and of the file's hyperlinks, each once, without mail and phone."""
    out: dict[str, str] = {}
    head = context.folded[:4000]
    emails = [m.span() for m in _EMAIL.finditer(head)]
    for found in _URL.finditer(head):
        if not any(low <= found.start() < high for low, high in emails):
            address = found.group().rstrip("./)")
            out.setdefault(_bare(address), address)
    for link in context.document.links:
        if link.startswith(("http://", "https://")):
            out.setdefault(_bare(link), link)
    return list(out.values())[:20]


def _bare(address: str) -> str:
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", address.lower()).rstrip("/")


def _headline(context: Context, name: Cell | None) -> str | None:
    """The title that stands with the name, above the first section."""
    for section in context.of("header"):
        for line in section.lines[:6]:
            if (
                line.blank
                or "@" in line.folded
                or (
                    name is not None
                    and line.start <= name.start < line.line.end
                    and len(line.text) < len(name.text) + 4
                )
            ):
                continue
            for cell in _header_cells(context, line.start, line.line.end):
                if name is not None and cell.start <= name.start < cell.end:
                    # "Mira Solberg, Test Engineer": what follows the name.
                    cell = context.cell(min(name.end, cell.end), cell.end)  # noqa: PLW2901
                if recognise.title_strength(cell.folded) == 2 and len(cell.text) <= 80:
                    return (
                        line.text
                        if line.text.startswith(cell.text)
                        and len(line.text) <= 100
                        and not any(c.isdigit() for c in line.text)
                        else cell.text
                    )
    return None
