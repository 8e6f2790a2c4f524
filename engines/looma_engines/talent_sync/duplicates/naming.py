"""Names of people: the forms that a name may be written in, and how alike two names are. Pure.

A Chinese name has its surname first, and is written in Latin letters in either order, its given name as one word or as
several. So each name becomes a set of forms, each a pair of words that are sorted: two people with a form in common
may have the same name.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from itertools import permutations

from rapidfuzz.distance import OSA

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W\d_]+")
_TWO_SIGNS = frozenset(
    [
        "欧阳",
        "司马",
        "上官",
        "诸葛",
        "东方",
        "皇甫",
        "尉迟",
        "公孙",
        "慕容",
        "令狐",
        "长孙",
        "宇文",
        "司徒",
        "夏侯",
        "轩辕",
        "端木",
        "南宫",
        "独孤",
        "申屠",
        "澹台",
    ]
)
"""Surnames of two signs."""
_AS_SURNAMES = {
    "单": "shan",
    "曾": "zeng",
    "查": "zha",
    "仇": "qiu",
    "解": "xie",
    "区": "ou",
    "盖": "ge",
    "朴": "piao",
    "尉迟": "yuchi",
    "长孙": "zhangsun",
    "澹台": "tantai",
    "乐": "yue",
    "翟": "zhai",
    "任": "ren",
    "华": "hua",
}
"""Surnames that are read otherwise than their signs are by themselves."""
SHORTEST_WITH_A_SLIP = 4
"""Of shorter words one letter makes another name."""

Form = tuple[str, str]


class Likeness(StrEnum):
    """How alike two names are."""

    SAME = "same"
    TRANSLITERATED = "transliterated"
    CLOSE = "close"
    INITIALS = "initials"
    PART = "part"
    DIFFERENT = "different"


def plain(text: str) -> str:
    """Lower case without accents, in one form of each sign; `ü` becomes `u`, as passports have it."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(sign for sign in folded if not unicodedata.combining(sign)))


def is_chinese(name: str) -> bool:
    """Whether it has a Chinese sign."""
    return _HAN.search(name) is not None


@lru_cache(maxsize=50_000)
def pinyin(signs: str) -> str:
    """Chinese signs as Latin letters in one word, other signs as they are."""
    # Reads its tables when it is first asked: an engine without a Chinese name never does.
    from pypinyin import lazy_pinyin

    return "".join(lazy_pinyin(signs)).replace("v", "u") if is_chinese(signs) else signs


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, plain."""
    return tuple(_WORD.findall(plain(name)))


@lru_cache(maxsize=50_000)
def forms(name: str) -> frozenset[Form]:
    """Surname and given name in each way that the name may be read; each form's words are sorted.

    | name            | forms                                         |
    | --------------- | --------------------------------------------- |
    | 张伟            | (wei, zhang)                                  |
    | Wei Zhang       | (wei, zhang)                                  |
    | Wang Xiao Ming  | (wang, xiaoming), (ming, wangxiao), (ming, wang) |
    | Ada             | (, ada)                                       |
    """
    words = words_of(name)
    if not words:
        return frozenset()
    if is_chinese(name):
        surname, given = _chinese(max(words, key=lambda word: len(_HAN.findall(word)), default=""))
        return frozenset({_pair(surname, given)})
    if len(words) == 1:
        return frozenset({_pair("", words[0])})
    first, last = words[0], words[-1]
    return frozenset({_pair(first, "".join(words[1:])), _pair("".join(words[:-1]), last), _pair(first, last)})


def initials(name: str) -> frozenset[str]:
    """The first letters of each form, sorted."""
    return frozenset("".join(sorted(word[:1] for word in form)) for form in forms(name))


def likeness(one: str, other: str) -> Likeness:
    """How alike two names are.

    | one          | other          | answer         |
    | ------------ | -------------- | -------------- |
    | Jane Smith   | SMITH, Jane    | same           |
    | 张伟         | Zhang Wei      | transliterated |
    | Jane Smith   | Jane Smyth     | close          |
    | Jane Smith   | Jane Ann Smith | close          |
    | Jane Smith   | J. Smith       | initials       |
    | Jane Smith   | John Smith     | part           |
    | 张伟         | 张敏           | part           |
    | Jane Smith   | Ann Miller     | different      |
    """
    mine, theirs = words_of(one), words_of(other)
    if not mine or not theirs:
        return Likeness.DIFFERENT
    if is_chinese(one) and is_chinese(other):
        return _of_chinese(mine, theirs)
    if is_chinese(one) or is_chinese(other):
        return Likeness.TRANSLITERATED if forms(one) & forms(other) else _of_forms(one, other)
    if sorted(mine) == sorted(theirs) or _joined(mine) & _joined(theirs):
        return Likeness.SAME
    return _of_words(mine, theirs)


def _chinese(word: str) -> Form:
    signs = "".join(_HAN.findall(word))
    size = 2 if signs[:2] in _TWO_SIGNS and len(signs) > 2 else 1
    surname, given = signs[:size], signs[size:]
    return _AS_SURNAMES.get(surname) or pinyin(surname), pinyin(given) if given else ""


def _pair(one: str, other: str) -> Form:
    first, second = sorted((one, other))
    return first, second


def _joined(words: tuple[str, ...]) -> frozenset[str]:
    """The name as one word, in either order of first and last: `Xiao Ming Wang` is `Wang Xiaoming`."""
    return frozenset({"".join(words), "".join((*words[1:], words[0])), "".join((words[-1], *words[:-1]))})


def _of_chinese(mine: tuple[str, ...], theirs: tuple[str, ...]) -> Likeness:
    one, other = "".join(mine), "".join(theirs)
    if one == other:
        return Likeness.SAME
    # A sign too many or another one that sounds the same is a slip; another sound is another person.
    mine_read, theirs_read = _chinese(one), _chinese(other)
    if mine_read == theirs_read:
        return Likeness.CLOSE
    return Likeness.PART if mine_read[0] == theirs_read[0] else Likeness.DIFFERENT


def _of_forms(one: str, other: str) -> Likeness:
    common = {word for form in forms(one) for word in form if word} & {
        word for form in forms(other) for word in form if word
    }
    return Likeness.PART if common else Likeness.DIFFERENT


def _of_words(mine: tuple[str, ...], theirs: tuple[str, ...]) -> Likeness:
    short, long = sorted((mine, theirs), key=len)
    best = Likeness.DIFFERENT
    order = [Likeness.CLOSE, Likeness.INITIALS, Likeness.PART, Likeness.DIFFERENT]
    # Names have few words; of very long ones the first four tell enough.
    for chosen in permutations(long[:4], min(len(short), 4)):
        found = _beside(short[:4], chosen)
        best = min(best, found, key=order.index)
    return best


def _beside(short: tuple[str, ...], chosen: tuple[str, ...]) -> Likeness:
    """How alike words are, each beside its own."""
    same = slips = letters = 0
    for one, other in zip(short, chosen, strict=True):
        if one == other and len(one) > 1:
            same += 1
        elif 1 in (len(one), len(other)) and one[0] == other[0]:
            letters += 1
        elif _is_slip(one, other):
            slips += 1
    if same + slips == len(short) and slips <= 1 and len(short) > 1:
        return Likeness.CLOSE
    if same and same + letters == len(short):
        return Likeness.INITIALS
    return Likeness.PART if same else Likeness.DIFFERENT


def _is_slip(one: str, other: str) -> bool:
    shorter = min(len(one), len(other))
    if shorter < SHORTEST_WITH_A_SLIP:
        return False
    return OSA.distance(one, other) <= 1
