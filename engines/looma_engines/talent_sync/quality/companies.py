"""All rules of companies, in one table. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from looma_core.api.company import CompanyDraft
from looma_core.api.quality import Family
from looma_engines.talent_sync.quality import texts
from looma_engines.talent_sync.quality.registration import is_credit_code, looks_like_credit_code
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing, warning

_EVERY_TEXT = (
    "name",
    "aliases[]",
    "registration_number",
    "website",
    "industry",
    "location",
    "description",
    "source.ref",
)


def _no_website(case: Case[CompanyDraft]) -> Iterator[Fault]:
    website = case.record.website
    if website is not None and not is_website(website):
        yield Fault("website", "write an address such as https://www.example.org")


def is_website(text: str) -> bool:
    """Whether it is the address of a site, by http or https with a domain: nothing else may become a link."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    odd = any(sign.isspace() or sign in "<>\"'\\" for sign in text)
    return (
        parts.scheme in ("http", "https") and "." in host.strip(".") and not odd and "@" not in parts.netloc
    )


def _no_credit_code(case: Case[CompanyDraft]) -> Iterator[Fault]:
    number = case.record.registration_number
    if number is not None and looks_like_credit_code(number) and not is_credit_code(number):
        yield Fault("registration_number", "its check sign is wrong: compare it with the business licence")


def _name_again(case: Case[CompanyDraft]) -> Iterator[Fault]:
    name = case.record.name.casefold().strip()
    for index, alias in enumerate(case.record.aliases):
        if alias.casefold().strip() == name:
            yield Fault(f"aliases[{index}]", "is the name itself")


def _odd_name(case: Case[CompanyDraft]) -> Iterator[Fault]:
    name = case.record.name
    if "@" in name or "://" in name or name.lower().startswith("www."):
        yield Fault("name", "is an address: write the company's name")


RULES: tuple[Rule[CompanyDraft], ...] = (
    texts.letters("company.name.letters", "name", "write the company's name"),
    texts.control("company.texts.control", *_EVERY_TEXT),
    texts.identity_number("company.texts.identity_number", *_EVERY_TEXT),
    refusing(
        "company.website.format",
        "website",
        family=Family.FORMAT,
        asks="The site is an address by http or https with a domain, without a name or password.",
        faults=_no_website,
    ),
    refusing(
        "company.registration_number.check",
        "registration_number",
        family=Family.FORMAT,
        asks="A unified social credit code has the right check sign; numbers of other registers are taken as they are.",
        faults=_no_credit_code,
    ),
    warning(
        "company.name.plausible",
        "name",
        family=Family.FORMAT,
        points=8,
        asks="The name is no address.",
        faults=_odd_name,
    ),
    texts.once("company.aliases.once", "aliases", points=3, asks="No other name is there twice."),
    warning(
        "company.aliases.other",
        "aliases[]",
        "name",
        family=Family.DUPLICATE,
        points=3,
        asks="Other names are others than the name.",
        faults=_name_again,
    ),
    texts.language("company.language.matches", "name", "description", points=6),
    texts.present(
        "company.registration_number.required",
        "registration_number",
        points=10,
        asks="There is the register's number: two companies of one name are told apart by it.",
    ),
    texts.present("company.website.required", "website", points=15, asks="There is a site."),
    texts.present("company.industry.required", "industry", points=15, asks="There is an industry."),
    texts.present("company.size.required", "size", points=10, asks="There is a size."),
    texts.present("company.location.required", "location", points=15, asks="There is a place."),
    texts.present("company.description.required", "description", points=15, asks="There is a description."),
)
