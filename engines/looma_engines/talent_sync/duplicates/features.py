"""What of a person is compared, in one spelling each. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec
import phonenumbers

from looma_core.api.talent import Talent, TalentDraft
from looma_engines.talent_sync.duplicates.naming import pinyin, plain

COMPARED = ("full_name", "email", "phone", "location", "experience", "education")
"""Fields of a person that are compared: two who were told apart are looked at again where one of these changes."""
_REGIONS = {"zh": ("CN", "HK", "TW"), "en": ("US", "GB", "CN", "IN")}
"""Where a number without a country may be from, by the language of the record."""
_FORMS = re.compile(
    r"\b(incorporated|inc|limited|ltd|llc|llp|plc|gmbh|ag|sa|corporation|corp|company|co|group|holdings)\b"
    r"|股份有限公司|有限责任公司|有限公司|集团|公司|\(.*?\)|（.*?）"
)
"""What a company is by law, which some write and others do not."""
_SIGNS = re.compile(r"[\W_]+")
_PART_OF_A_PLACE = re.compile(r"[,，;；/·|]")
_UNITS = re.compile(r"(特别行政区|自治区|省|市|区)$")
_TAG = re.compile(r"\+.*$")


@dataclass(frozen=True, kw_only=True)
class Stay:
    """Somewhere in a person's life: a company or a school, and the months, None where one is not known."""

    name: str
    start: str | None
    end: str | None


@dataclass(frozen=True, kw_only=True)
class Features:
    """What of a person is compared."""

    name: str
    email: str | None
    phone: str | None
    place: str | None
    employers: tuple[Stay, ...]
    schools: tuple[Stay, ...]


def features_of(talent: Talent | TalentDraft) -> Features:
    """What of a person is compared."""
    return Features(
        name=talent.full_name,
        email=address(talent.email),
        phone=number(talent.phone, talent.language),
        place=place(talent.location),
        employers=_stays([(job.company, job.start, job.end) for job in talent.experience], organisation),
        schools=_stays([(part.institution, part.start, part.end) for part in talent.education], school),
    )


def compared_of(talent: Talent) -> bytes:
    """The compared fields as bytes: other ones where one of them was changed."""
    return msgspec.json.encode({name: getattr(talent, name) for name in COMPARED}, order="deterministic")


def address(text: str | None) -> str | None:
    """An address of mail in lower case, without a part after a plus; None where it is none."""
    local, at, host = (plain(text or "").strip()).rpartition("@")
    local = _TAG.sub("", local)
    return f"{local}@{host}" if at and local and host else None


def number(text: str | None, language: str) -> str | None:
    """A telephone number in E.164, or its digits where no country gives out such a number."""
    if not text:
        return None
    regions = (None,) if text.lstrip().startswith("+") else _REGIONS.get(language, _REGIONS["en"])
    for region in regions:
        try:
            parsed = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    digits = "".join(sign for sign in plain(text) if sign.isdigit())
    return digits if len(digits) >= 7 else None


def organisation(text: str | None) -> str:
    """A company's name without what it is by law; empty where nothing is left."""
    return _SIGNS.sub("", _FORMS.sub(" ", plain(text or "")))


def school(text: str | None) -> str:
    """A school's name; `The University of Leeds` is `University of Leeds`."""
    return _SIGNS.sub("", re.sub(r"\b(the|of)\b", " ", plain(text or "")))


def place(text: str | None) -> str | None:
    """The first part of a place, in Latin letters: `上海市` and `Shanghai, China` are one."""
    parts = [part.strip() for part in _PART_OF_A_PLACE.split(plain(text or "")) if part.strip()]
    if not parts:
        return None
    return _SIGNS.sub("", pinyin(_UNITS.sub("", parts[0]) or parts[0])) or None


def _stays(
    parts: Sequence[tuple[str | None, str | None, str | None]], named: Callable[[str | None], str]
) -> tuple[Stay, ...]:
    found = []
    for name, start, end in parts:
        spelled = named(name)
        if spelled:
            found.append(Stay(name=spelled, start=start, end=end))
    return tuple(found)


def overlap(one: Stay, other: Stay, *, today: date) -> bool:
    """Whether two stays have a month in common; one whose beginning is not known has none."""
    if one.start is None or other.start is None:
        return False
    now = f"{today:%Y-%m}"
    last = min((stay.end or now) + ("" if len(stay.end or now) > 4 else "-12") for stay in (one, other))
    first = max(stay.start + ("" if len(stay.start) > 4 else "-01") for stay in (one, other) if stay.start)
    return first <= last
