"""Name, e-mail, phone, place, links and headline, wherever a résumé has them."""

from __future__ import annotations

import pytest

from looma_engines.resume.documents import read_document, read_text
from looma_engines.resume.parsing.contact import phone_number
from support.resume_files import parser
from support.resume_texts import parsed, spans

JOB = "\nEXPERIENCE\nTest Engineer, Harbour Cloud Ltd 2011 - 2013\n"

NAMES: dict[str, tuple[str, str | None]] = {
    "capitals are a matter of type": (
        "MIRA J. O'SOLBERG-LIE, PH.D.\nmira@example.org" + JOB,
        "Mira J. O'Solberg-Lie",
    ),
    "a degree behind it": ("Mira Solberg, MBA\nmira@example.org" + JOB, "Mira Solberg"),
    "behind a label": ("Full Name: Mira Solberg\tE-mail: mira@example.org" + JOB, "Mira Solberg"),
    "below the word résumé": ("Curriculum Vitae\nMira Solberg\nmira@example.org" + JOB, "Mira Solberg"),
    "below words of a trade": (
        "Machine Learning and Data\nMira Solberg\nmira@example.org" + JOB,
        "Mira Solberg",
    ),
    "below a company": ("Solberg Consulting Group\nMira Solberg" + JOB, "Mira Solberg"),
    "a Chinese label without a gap behind": ("姓名：陈思远性别：男电话：13800138000\n工作经历\n", "陈思远"),
    "a Chinese label, a Latin name": ("姓 名：Mira Solberg\n手机：139-0013-9000\n工作经历\n", "Mira Solberg"),
    "two surnames' characters": ("诸葛明远的个人简历\n13800138000\n工作经历\n", "诸葛明远"),
    "Chinese, letter-spaced": ("个人简历\n陈  思  远\n13800138000\n测试工程师\n", "陈思远"),
    "Chinese of two characters, letter-spaced": ("沈   行\n13800138000\n测试工程师\n", "沈行"),
    "a double surname apart": ("欧阳 远\n13800138000\n测试工程师\n", "欧阳远"),
    "a dot within": ("阿依努尔·艾山江\n新疆乌鲁木齐\n13800138000\n", "阿依努尔·艾山江"),
    "a town and its district are none": ("江苏 南京\n13800138000\n测试工程师\n", None),
}


@pytest.mark.parametrize("which", NAMES)
def test_names(which: str) -> None:
    text, name = NAMES[which]
    found = parsed(text)
    assert found.contact.full_name == name
    assert len(spans(found, "NAME")) == (name is not None)


PHONES: dict[str, tuple[str, str | None]] = {
    "E.164 from its country's code": ("+1 (312) 555-0199", "+13125550199"),
    "the plus within brackets": ("(+47 55 12 34 56)", "+4755123456"),
    "a short number behind a label": ("Tel: 5512 3456", "5512 3456"),
    "a short number without a label": ("5512 3456", None),
    "a country that does not exist": ("Phone: +999 123 456 78", None),
    "years": ("2012 - 2016", None),
    "the labelled one before the first": ("312-555-0100\nMobile: 312-555-0199", "312-555-0199"),
}


@pytest.mark.parametrize("which", PHONES)
def test_phones(which: str) -> None:
    line, number = PHONES[which]
    assert parsed(f"Mira Solberg\n{line}{JOB}").contact.phone == number


def test_what_no_library_can_read_is_no_phone() -> None:
    assert phone_number("+0 0 0 0 0 0 0", chinese=False) is None


PLACES: dict[str, tuple[str, str | None]] = {
    "behind a label, without its street": (
        "Mira Solberg\nAddress: 12 Kelp Street, Springfield, IL 62704" + JOB,
        "Springfield, IL 62704",
    ),
    "a line with an address of mail is not searched": (
        "Mira Solberg\n12 Kelp Street, Springfield, IL mira@example.org\nlives in Denver, CO since 2010"
        + JOB,
        "Denver, CO",
    ),
    "a Chinese label": ("姓名：陈思远性别：男\n现居城市：青岛。\n工作经历\n", "青岛"),
    "a Chinese town by itself": ("陈思远\n青岛 | 13800138000\n求学于青岛海洋学院\n", "青岛"),
    "a Chinese town in a sentence": ("陈思远\n目前住在 青岛 ，男\n工作经历\n", "青岛"),
    "a Chinese town within a name": ("陈思远\n毕业于青岛大学，13800138000\n工作经历\n", None),
}


@pytest.mark.parametrize("which", PLACES)
def test_places(which: str) -> None:
    text, place = PLACES[which]
    found = parsed(text)
    assert found.contact.location == place
    if place is not None:
        assert place in spans(found, "LOC")


def test_an_address_that_is_written_against_robots_is_read() -> None:
    found = parsed("Mira Solberg\nmira.solberg [at] example.org" + JOB)
    assert found.contact.email == "mira.solberg@example.org"
    assert spans(found, "EMAIL") == ["mira.solberg [at] example.org"]


def test_links_are_told_once_and_mail_is_none() -> None:
    found = parsed(
        "Mira Solberg\nmira@solberg.dev | https://www.mira.example.org/cv. | github.com/mirasolberg | "
        "www.linkedin.com/in/mira\nhttps://github.com/mirasolberg/" + JOB
    )
    assert found.contact.links == [
        "https://www.mira.example.org/cv",
        "github.com/mirasolberg",
        "www.linkedin.com/in/mira",
    ]


def test_a_page_that_shows_no_address_has_it_in_its_links() -> None:
    page = (
        "<html><body><h1>Mira Solberg</h1><p><a href='mailto:mira@example.org?subject=Hello'>Write</a> "
        "<a href='https://example.org/mira'>Page</a></p><h2>Experience</h2>"
        "<p>Test Engineer, Harbour Cloud Ltd 2011 - 2013</p></body></html>"
    )
    contact = parser().parse(read_document(page.encode())).contact
    assert (contact.email, contact.links) == ("mira@example.org", ["https://example.org/mira"])


HEADLINES: dict[str, tuple[str, str | None]] = {
    "below the name": ("Mira Solberg\nTest Engineer, Ferries\nmira@example.org", "Test Engineer, Ferries"),
    "behind the name": ("Mira Solberg, Test Engineer | Ferry Specialist\nmira@example.org", "Test Engineer"),
    "behind a bar, with a number": ("Mira Solberg\nTest Engineer | 12 years at sea", "Test Engineer"),
    "none": ("Mira Solberg\nmira@example.org\nBergen, Norway", None),
}


@pytest.mark.parametrize("which", HEADLINES)
def test_headlines(which: str) -> None:
    top, headline = HEADLINES[which]
    assert parser().parse(read_text(top + JOB)).headline == headline
