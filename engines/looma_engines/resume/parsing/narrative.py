"""Entities of Chinese running text, as biographies and résumés have it. Pure.

A text is cut at punctuation, dates and words that introduce a post ("任", "历任", "在"); each piece is then
read as an organisation followed by a title, either of which may be missing. The rules know how
organisations, titles, degrees and majors end; they know no names but surnames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from looma_engines.resume.parsing import gazetteers
from looma_engines.resume.parsing.context import Found
from looma_engines.resume.parsing.person import is_chinese_name

_MAX_ORGANISATION: Final = 40
_MAX_TITLE: Final = 22
#: An organisation with a short common ending needs this many characters, else it is a department in a title.
_MIN_WEAK: Final = 5

_DATE: Final = (
    r"(?:自|从|于)?(?:19|20)\d{2}(?:年|[-./])?(?:\d{1,2}(?:月|[-./]\d{1,2})?)?(?:\d{1,2}日)?(?:年?初|"
    r"年?底|年?末|月?份)?"
    r"(?:起|以来|后|前|开始|间|期间)?(?:\s*(?:-{1,2}|~|至|到)\s*)?(?:至?今)?"
)
_INTRODUCES: Final = re.compile(
    r"(?:先后)?(?:历任|曾任|现任|兼任|担任|出任|升任|调任|转任|改任|续任|留任|连任|前任|就任|"
    r"聘任(?:为)?|任职于|供职于|就职于|任教于|"
    r"工作于|毕业于|就读于|受聘(?:于|为|担任)?|被?聘为|当选为?|被选(?:举)?为|被评为|荣获|获得|取得|获|"
    r"创立|创办|创建|加入|加盟|进入|"
    r"调入|借调|任命为|选举为|委派|从事|负责(?!人)|主持|参与|参加|辞去|分别|受过|隶属于?|享受|拥有|"
    r"具有|具备|持有|现为|曾为|并为|作为|成为|任职|任教|"
    r"(?<![主责信胜常])任(?!教|务|意|职)|(?<=[今月年后起])为|(?<![存现所实])在|就读|就职|供职|毕业|"
    r"曾于|于(?=[\u4e00-\u9fff]{4})|"
    r"兼(?=[\u4e00-\u9fff]{2})|同时|现(?=[\u4e00-\u9fff]{3})|曾|目前|其中|以及|并且|并|"
    r"[\u4e00-\u9fff]{2,4}(?:先生|女士|同志))"
)
_CUT: Final = re.compile(rf"{_DATE}|[，,。；;：:、！!？?\n\t|/\s]+|-{{2,}}|[“”\"'《》<>\[\]【】]")
_TAIL: Final = re.compile(
    r"(?:工作|任职|学习|毕业|就职|供职|等职务?|等职位|职务|一职|职位|至今|期间|生|岗位|专业|进修|攻读|"
    r"深造|服役|人员?之一|毕业证书|等)+$"
)
_DEPARTMENT: Final = re.compile(
    r"^(?:市场|技术|生产|销售|财务|战略|对外|国际|海外|业务|证券|设备|质量|产品|项目|高级|资深|副|总|"
    r"首席|信息|人力|行政|综合)"
)
_UNIT: Final = re.compile(r"^(?:部|处|科|组|室|司|课|股|事业|中心|车间|分部|学|业务|管理)")
_BRACKET: Final = r"(?:[（(][^)）]{1,16}[)）])?"
_NOT_TITLES: Final = frozenset(
    "代表 行政 销售 会计 采购 文案 翻译 策划 编辑 前台 兼职 审计 人事 运营 工会 人力资源".split()  # noqa: SIM905 - read more easily
)
_VERBS: Final = re.compile(r"[的了是将被把对与]|工作|研究工作|活动|建设$|负责|管理工作")


def chinese_entities(folded: str) -> Iterator[Found]:
    """Entities of a Chinese text; offsets are those of ``folded``."""
    yield from _simple(folded)
    yield from _degrees(folded)
    for start, end in _pieces(folded):
        yield from _posts(folded, start, end)


def _pieces(folded: str) -> Iterator[tuple[int, int]]:
    """Pieces between punctuation, dates and introducing words, without what trails them."""
    cuts = [found.span() for found in _CUT.finditer(folded) if found.end() > found.start()]
    cuts += [found.span() for found in _INTRODUCES.finditer(folded)]
    position = 0
    for low, high in sorted(cuts):
        if low >= position:
            if low - position >= 2:
                yield _trimmed(folded, position, low)
            position = high
        else:
            position = max(position, high)
    if len(folded) - position >= 2:
        yield _trimmed(folded, position, len(folded))


def _trimmed(folded: str, start: int, end: int) -> tuple[int, int]:
    tail = _TAIL.search(folded, start, end)
    if tail and tail.start() > start:
        end = tail.start()
    return start, end


@cache
def _title_end() -> re.Pattern[str]:
    suffixes = gazetteers.alternation(gazetteers.words("titles.txt", "chinese-suffixes"))
    # Beyond the list: 估价师, 化验员, 科长 and the like, whatever stands before.
    return re.compile(
        rf"(?:{suffixes}|[\u4e00-\u9fff](?<![增成生])长|[\u4e00-\u9fff](?<![人动])员|"
        rf"[\u4e00-\u9fff](?<![大老])师)(?:[（(][^)）]{{1,12}}[)）])?$",
        re.IGNORECASE,
    )


@cache
def _organisation_ends() -> tuple[re.Pattern[str], re.Pattern[str]]:
    strong = re.compile(
        gazetteers.alternation(gazetteers.words("places.txt", "organisations-sure")) + _BRACKET
    )
    return strong, re.compile(
        gazetteers.alternation(gazetteers.words("places.txt", "organisations-weak")) + _BRACKET
    )


@cache
def _branches() -> re.Pattern[str]:
    return re.compile(gazetteers.alternation(gazetteers.words("places.txt", "organisations-branches")))


@cache
def _post_inside() -> re.Pattern[str]:
    """A title and a joint within what should be one organisation ("某公司董事长及集团")."""
    suffixes = gazetteers.alternation(
        [w for w in gazetteers.words("titles.txt", "chinese-suffixes") if len(w) > 1]
    )
    return re.compile(rf"{suffixes}[及和与兼]")


def _posts(folded: str, start: int, end: int) -> Iterator[Found]:
    """Organisation and title of one piece."""
    former = re.match(r"原(?!子|材|料|告)|该|前", folded[start:end])
    start += former.end() if former else 0
    text = folded[start:end]
    if len(text) < 2 or not any("\u4e00" <= char <= "\u9fff" for char in text):
        return
    joint = _joint().search(text)
    if joint:
        yield from _posts(folded, start, start + joint.end(1))
        yield from _posts(folded, start + joint.end(), end)
        return
    at = organisation_length(text) or _organisation_alone(text)
    if at:
        yield Found(start, start + at, "ORG", 4, 0.75)
        joint = re.match(r"[和与及]", text[at:])
        if joint and len(text) > at + 2:
            yield from _posts(folded, start + at + 1, end)
            return
    rest = text[at:]
    skipped = len(rest) - len(rest.lstrip("的之、 "))
    title = rest[skipped:]
    if is_title(title, alone=not at):
        yield from _titles(start + at + skipped, title)


def organisation_length(text: str) -> int:
    """How many characters at the start of ``text`` are an organisation, 0 if none.

    | text                       | organisation          |
    | -------------------------- | --------------------- |
    | 云南罗平锌电股份有限公司董事    | 云南罗平锌电股份有限公司  |
    | 兰州大学经济系讲师            | 兰州大学经济系          |
    | 公司副总经理                 | 公司                  |
    | 光缆分厂副厂长               |                       |
    """
    strong, weak = _organisation_ends()
    ends = [(found.end(), 2) for found in strong.finditer(text)]
    ends += [(found.end(), 1) for found in weak.finditer(text)]
    ends += [(found.end(), 0) for found in _branches().finditer(text)]
    for end, strength in sorted(set(ends), reverse=True):
        if text[end : end + 1] in (")", "）"):
            end += 1  # noqa: PLW2901 - "上海医药（集团）" ends behind its bracket
        name, rest = text[:end], text[end:].lstrip("的 ")
        if end > _MAX_ORGANISATION or not _is_name(name, rest, strength):
            continue
        if strength == 2 and (two := _two_names().match(name)):
            return two.end(1)
        if not rest or is_title(rest, alone=False) or (strength == 2 and rest[0] in "和与及"):
            return end
    return 0


@cache
def _two_names() -> re.Pattern[str]:
    """Two organisations and a joint ("山东大学和青岛海洋研究所")."""
    ends = gazetteers.alternation(gazetteers.words("places.txt", "organisations-sure"))
    return re.compile(rf"([\u4e00-\u9fff]{{2,}}{ends})[和与及](?=[\u4e00-\u9fff]{{4}})")


def _organisation_alone(text: str) -> int:
    """Length of an organisation whose rest is no title ("武汉大学经济学专业", "某公司投资经营部"), 0 if none."""
    strong, _ = _organisation_ends()
    for found in reversed(list(strong.finditer(text))):
        name = text[: found.end()]
        if 4 <= found.end() <= _MAX_ORGANISATION and _is_name(name, text[found.end() :], 2):
            return found.end()
    return 0


@cache
def _joint() -> re.Pattern[str]:
    """A title, a joint, and enough behind it to be another post."""
    suffixes = gazetteers.alternation(
        [w for w in gazetteers.words("titles.txt", "chinese-suffixes") if len(w) > 1]
    )
    return re.compile(rf"({suffixes})[及和与](?=[\u4e00-\u9fff（(]{{5}})")


def _is_name(name: str, rest: str, strength: int) -> bool:
    """Whether ``name`` can be an organisation with an ending of this strength, before ``rest``."""
    if _VERBS.search(name) or _title_end().search(name) or _post_inside().search(name):
        return False
    if strength == 2:
        # 人大代表 is one title.
        return not rest.startswith("长") and not (name.endswith("人大") and rest.startswith("代表"))
    if name.endswith(("董事会", "监事会", "理事会", "工会", "党委", "团委", "纪委")) or (
        rest[:1] in ("长", "员") and strength == 1
    ):
        return False
    if strength == 1:
        return len(name) >= _MIN_WEAK
    return len(name) >= _MIN_WEAK - 1 and bool(rest) and not _DEPARTMENT.match(name) and not _UNIT.match(rest)


def is_title(text: str, *, alone: bool) -> bool:
    """Whether all of ``text`` is a title, or several joined by 兼.

    Args:
        text: a piece without organisation.
        alone: no organisation stands before it, so that more than a common word is needed.
    """
    if not 2 <= len(text) <= _MAX_TITLE or _VERBS.search(text):
        return False
    if alone and (text in _NOT_TITLES or not any("\u4e00" <= char <= "\u9fff" for char in text)):
        return False
    return bool(_title_end().search(text))


def _titles(start: int, text: str) -> Iterator[Found]:
    """The titles of "董事长兼总经理", each by itself."""
    position = 0
    for found in re.finditer(r"[兼及和与](?=[\u4e00-\u9fff]{2})", text):
        left = text[position : found.start()]
        if _title_end().search(left):
            yield Found(start + position, start + found.start(), "TITLE", 5, 0.75)
            position = found.end()
    yield Found(start + position, start + len(text), "TITLE", 5, 0.75)


@cache
def _people() -> re.Pattern[str]:
    return re.compile(gazetteers.alternation(gazetteers.words("places.txt", "peoples-chinese")))


@cache
def _degree() -> re.Pattern[str]:
    degrees = gazetteers.alternation(gazetteers.words("schools.txt", "degrees-chinese"))
    majors = gazetteers.alternation(gazetteers.words("schools.txt", "majors-chinese"))
    # 博士生导师 is a title, 硕士点 a programme.
    return re.compile(
        rf"(?P<major>(?:{majors})(?:类)?)?(?:专业|系)?(?P<degree>(?:在读)?{degrees}(?:文化程度|文化|程度|"
        rf"在读)?)(?![生点班]?导师|[点班站院]|毕业论文)"
    )


def _degrees(folded: str) -> Iterator[Found]:
    for found in _degree().finditer(folded):
        yield Found(found.start("degree"), found.end("degree"), "EDU", 3, 0.85)
        if found.group("major"):
            yield Found(found.start("major"), found.start("degree"), "PRO", 3, 0.8)
    majors = gazetteers.alternation(gazetteers.words("schools.txt", "majors-chinese"))
    for found in re.finditer(rf"({majors})专业", folded):
        yield Found(found.start(), found.end(), "PRO", 3, 0.75)


@cache
def _province() -> re.Pattern[str]:
    return re.compile(gazetteers.alternation(gazetteers.words("places.txt", "provinces-chinese")))


def _simple(folded: str) -> Iterator[Found]:
    for found in _people().finditer(folded):
        yield Found(found.start(), found.end(), "RACE", 1, 0.95)
    for found in re.finditer(
        r"国籍\s*[:：]\s*([\u4e00-\u9fff]{2,6})|((?:中国|[\u4e00-\u9fff]{2,5})国籍|中国籍|中国公民)", folded
    ):
        group = 1 if found.group(1) else 2
        yield Found(found.start(group), found.end(group), "CONT", 1, 0.9)
    for found in re.finditer(
        r"(?:籍贯|出生地|出生于)\s*[:：]?\s*([\u4e00-\u9fff]{2,8}?)(?=[，,。;；\s]|性别|$)", folded
    ):
        yield Found(found.start(1), found.end(1), "LOC", 2, 0.8)
    for found in re.finditer(r"(?<![\u4e00-\u9fff])([\u4e00-\u9fff]{4,8}人)(?![\u4e00-\u9fff])", folded):
        if _province().match(found.group(1)):
            yield Found(found.start(1), found.end(1), "LOC", 2, 0.8)
    for found in re.finditer(
        r"(?:^|(?<=[\n。；;\s]))([\u4e00-\u9fff]{2,4})(?=先生|女士|同志|[，,：:]|\s*[（(]?[男女])", folded
    ):
        name = found.group(1)
        if is_chinese_name(name) and not _title_end().search(name):
            yield Found(found.start(1), found.end(1), "NAME", 1, 0.9)
    for found in re.finditer(r"([\u4e00-\u9fff]{2,4})(?=先生|女士|同志)", folded):
        if is_chinese_name(found.group(1)):
            yield Found(found.start(1), found.end(1), "NAME", 2, 0.85)
    singles, _ = gazetteers.surnames()
    for found in re.finditer(r"(?<![\u4e00-\u9fff])([\u4e00-\u9fff])(?=先生|女士)", folded):
        if found.group(1) in singles:
            yield Found(found.start(1), found.end(1), "NAME", 2, 0.8)
