"""Spans of Chinese running text, as biographies in annual reports have it; people and companies are invented."""

from __future__ import annotations

import pytest

from support.resume_files import parser

BIOGRAPHIES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "a whole life": (
        (
            "沈知行，男，1970年3月出生，满族，中国国籍，无境外永久居留权，籍贯：山东青岛。硕士研究生学历，会计学专业，"
            "高级工程师。曾任青岛远洋造船股份有限公司技术部部长兼总工程师，现任海蓝控股集团有限公司董事长及青岛海蓝投资"
            "有限公司执行董事。"
        ),
        [
            ("NAME", "沈知行"),
            ("DATE", "1970年3月"),
            ("RACE", "满族"),
            ("CONT", "中国国籍"),
            ("LOC", "山东青岛"),
            ("EDU", "硕士研究生学历"),
            ("PRO", "会计学专业"),
            ("TITLE", "高级工程师"),
            ("ORG", "青岛远洋造船股份有限公司"),
            ("TITLE", "技术部部长"),
            ("TITLE", "总工程师"),
            ("ORG", "海蓝控股集团有限公司"),
            ("TITLE", "董事长"),
            ("ORG", "青岛海蓝投资有限公司"),
            ("TITLE", "执行董事"),
        ],
    ),
    "a surname alone, former posts, this company": (
        "孟女士自2010年起历任蓝鲸银行青岛分行客户经理、副行长，原青岛港务局局长，该公司独立董事。",
        [
            ("NAME", "孟"),
            ("DATE", "自2010年起"),
            ("ORG", "蓝鲸银行青岛分行"),
            ("TITLE", "客户经理"),
            ("TITLE", "副行长"),
            ("ORG", "青岛港务局"),
            ("TITLE", "局长"),
            ("ORG", "公司"),
            ("TITLE", "独立董事"),
        ],
    ),
    "a school without a title, a tutor is no degree, a deputy is one title": (
        "上官云先生毕业于武汉大学经济学专业，获得博士学位，博士生导师，第十二届全国人大代表。",
        [
            ("NAME", "上官云"),
            ("ORG", "武汉大学"),
            ("PRO", "经济学专业"),
            ("EDU", "博士学位"),
            ("TITLE", "博士生导师"),
            ("TITLE", "第十二届全国人大代表"),
        ],
    ),
    "two organisations and a joint": (
        (
            "2001年7月至2005年6月在山东大学和青岛海洋研究所工作，从事海洋活动的研究工作。"
            "任青岛海蓝（集团）有限公司的副总裁。"
        ),
        [
            ("DATE", "2001年7月至2005年6月"),
            ("ORG", "山东大学"),
            ("ORG", "青岛海洋研究所"),
            ("ORG", "青岛海蓝（集团）有限公司"),
            ("TITLE", "副总裁"),
        ],
    ),
    "a bracket that closes behind the ending": (
        "现任海蓝重工（集团）董事长。",
        [("ORG", "海蓝重工（集团）"), ("TITLE", "董事长")],
    ),
    "nations and places behind labels": (
        "国籍：新加坡。出生地：厦门\n陈思远：本科，注册会计师。",
        [("CONT", "新加坡"), ("LOC", "厦门"), ("NAME", "陈思远"), ("EDU", "本科"), ("TITLE", "注册会计师")],
    ),
    "where someone comes from, a comrade, departments in titles": (
        "山东省青岛人，沈知行同志现为证券部经理、董事会秘书，公司工会主席。",
        [
            ("LOC", "山东省青岛人"),
            ("NAME", "沈知行"),
            ("TITLE", "证券部经理"),
            ("TITLE", "董事会秘书"),
            ("ORG", "公司"),
            ("TITLE", "工会主席"),
        ],
    ),
    "an organisation's office, a lone common word, what someone is in charge of": (
        "曾在海蓝贸易公司投资经营部任职，行政，SVP，负责建设。",
        [("ORG", "海蓝贸易公司")],
    ),
    "a title with a joint inside an organisation's piece": (
        "任海蓝股份有限公司董事长及蓝鲸贸易有限公司监事。",
        [
            ("ORG", "海蓝股份有限公司"),
            ("TITLE", "董事长"),
            ("ORG", "蓝鲸贸易有限公司"),
            ("TITLE", "监事"),
        ],
    ),
    "a title follows the second of two organisations": (
        "任海蓝集团及蓝鲸集团总经理。",
        [("ORG", "海蓝集团"), ("ORG", "蓝鲸集团"), ("TITLE", "总经理")],
    ),
}


@pytest.mark.parametrize("which", BIOGRAPHIES)
def test_spans_of_a_biography(which: str) -> None:
    text, expected = BIOGRAPHIES[which]
    found = parser().entities(text)
    assert [(item.label, item.text) for item in found if item.label != "SKILL"] == expected
    assert all(text[item.start : item.end] == item.text for item in found)


def test_english_labels_of_what_must_be_masked() -> None:
    text = (
        "Mira Solberg\nNationality: Norwegian\nEthnicity: Sami\nEDUCATION\nB.Sc. Physics, Lakeside College\n"
    )
    found = {(item.label, item.text) for item in parser().entities(text)}
    assert {("CONT", "Norwegian"), ("RACE", "Sami"), ("EDU", "B.Sc."), ("NAME", "Mira Solberg")} <= found
