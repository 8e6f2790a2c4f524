"""Rules of companies and jobs: what each finds, and what it leaves alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft
from looma_core.api.quality import Assessment
from looma_engines.talent_sync import kinds
from looma_engines.talent_sync.quality.assessing import assess
from looma_engines.talent_sync.quality.companies import is_website
from looma_engines.talent_sync.quality.registration import is_credit_code

TODAY = date(2026, 11, 27)
COMPANY = {
    "name": "蓝鲸网络科技有限公司",
    "aliases": ["蓝鲸", "Blue Whale Networks"],
    "registration_number": "91350100M000100Y43",
    "website": "https://www.example.org/about?from=x",
    "industry": "软件",
    "size": "201-1000",
    "location": "杭州市",
    "description": "为零售企业提供支付与结算服务。",
    "language": "zh",
}
JOB = {
    "title": "后端工程师",
    "company_name": "蓝鲸网络",
    "location": "杭州市",
    "workplace": "on-site",
    "employment": "full-time",
    "description": "负责订单中心的微服务拆分与性能优化，日均处理订单一千二百万笔，与六位同事维护支付网关的运行。",
    "skills": ["Go", "Kafka", "PostgreSQL"],
    "experience_years": 3,
    "salary": {"min": 25000, "max": 40000},
    "opens_on": "2026-11-01",
    "closes_on": "2026-12-31",
    "language": "zh",
}


def of_company(**changes: Any) -> Assessment:
    draft = msgspec.convert({**COMPANY, **changes}, CompanyDraft)
    return assess(draft, today=TODAY, rules=kinds.COMPANY.rules)


def of_job(**changes: Any) -> Assessment:
    draft = msgspec.convert({**JOB, **changes}, JobDraft)
    return assess(draft, today=TODAY, rules=kinds.JOB.rules)


def test_whole_records_have_all_points():
    assert (of_company().score, of_company().findings) == (100, [])
    assert (of_job().score, of_job().findings) == (100, [])


@pytest.mark.parametrize(
    ("changes", "rule", "field"),
    [
        ({"name": "12"}, "company.name.letters", "name"),
        ({"name": "info@example.org"}, "company.name.plausible", "name"),
        ({"name": "www.example.org"}, "company.name.plausible", "name"),
        ({"website": "www.example.org"}, "company.website.format", "website"),
        (
            {"registration_number": "91350100M000100Y40"},
            "company.registration_number.check",
            "registration_number",
        ),
        ({"registration_number": None}, "company.registration_number.required", "registration_number"),
        ({"aliases": ["蓝鲸", "蓝鲸 "]}, "company.aliases.once", "aliases[1]"),
        ({"aliases": [COMPANY["name"]]}, "company.aliases.other", "aliases[0]"),
        ({"language": "en"}, "company.language.matches", "language"),
        ({"website": None}, "company.website.required", "website"),
        ({"industry": None}, "company.industry.required", "industry"),
        ({"size": None}, "company.size.required", "size"),
        ({"location": None}, "company.location.required", "location"),
        ({"description": None}, "company.description.required", "description"),
        ({"description": "a\x01"}, "company.texts.control", "description"),
        ({"description": "法人 11010519491231002X"}, "company.texts.identity_number", "description"),
    ],
)
def test_each_rule_of_companies(changes, rule, field):
    found = of_company(**changes).findings
    assert (rule, field) in [(one.rule, one.field) for one in found]


@pytest.mark.parametrize(
    ("changes", "rule", "field"),
    [
        ({"title": "…"}, "job.title.letters", "title"),
        ({"salary": {"min": 5, "max": 4}}, "job.salary.order", "salary.max"),
        ({"opens_on": "2027-01-01"}, "job.dates.order", "closes_on"),
        ({"closes_on": "2026-11-26"}, "job.dates.over", "closes_on"),
        ({"salary": {"min": 2500, "max": 40000}}, "job.salary.range", "salary.max"),
        ({"experience_years": 21}, "job.experience_years.range", "experience_years"),
        ({"employment": "internship"}, "job.internship.experience", "experience_years"),
        ({"employment": "internship", "degree": "doctor"}, "job.internship.degree", "degree"),
        ({"skills": ["Go", "Kafka", "熟悉分布式系统的设计与实现。"]}, "job.skills.names", "skills[2]"),
        ({"skills": ["Go", "go", "Kafka"]}, "job.skills.once", "skills[1]"),
        ({"language": "en"}, "job.language.matches", "language"),
        ({"company_name": None}, "job.company.required", "company_name"),
        ({"location": None}, "job.location.required", "location"),
        ({"description": None}, "job.description.required", "description"),
        ({"description": "写代码。"}, "job.description.length", "description"),
        ({"skills": ["Go"]}, "job.skills.enough", "skills"),
        ({"salary": None}, "job.salary.required", "salary"),
        ({"salary": {"currency": "EUR"}}, "job.salary.required", "salary"),
        ({"employment": None}, "job.employment.required", "employment"),
        ({"workplace": None}, "job.workplace.required", "workplace"),
        ({"location": "杭州\x07"}, "job.texts.control", "location"),
        ({"description": "联系人 11010519491231002X"}, "job.texts.identity_number", "description"),
    ],
)
def test_each_rule_of_jobs(changes, rule, field):
    found = of_job(**changes).findings
    assert (rule, field) in [(one.rule, one.field) for one in found]


@pytest.mark.parametrize(
    "changes",
    [
        {"location": None, "workplace": "remote"},
        {"status": "closed", "closes_on": "2020-01-31", "opens_on": None},
        {"closes_on": "2026-11-27"},
        {"salary": {"min": 20000}},
        {"salary": {"min": 10000, "max": 50000}},
        {"employment": "internship", "experience_years": 1},
        {"company_name": None, "company_id": "019a0000-0000-7000-8000-000000000001"},
    ],
)
def test_what_rules_of_jobs_leave_alone(changes):
    assert of_job(**changes).findings == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("https://www.example.org", True),
        ("http://例子.公司/关于", True),
        ("https://example.org:8443/a?b=c#d", True),
        ("ftp://example.org", False),
        ("javascript:alert(1)//a.b", False),
        ("https://", False),
        ("https://.", False),
        ("https://localhost", False),
        ("https://ada:secret@example.org", False),
        ("https://example.org/<script>", False),
        ("https://example.org/a b", False),
        ("https://[::1", False),
        ("https://example.org:port", False),
    ],
)
def test_websites(text, answer):
    assert is_website(text) is answer


WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)  # As the standard lists them.
SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def test_the_standards_own_example_is_right():
    assert is_credit_code("91350100M000100Y43")


@given(st.text(SIGNS, min_size=17, max_size=17))
def test_a_credit_code_has_the_check_sign_of_the_standards_weights(body):
    check = (
        31 - sum(SIGNS.index(sign) * weight for sign, weight in zip(body, WEIGHTS, strict=True)) % 31
    ) % 31
    assert [sign for sign in SIGNS if is_credit_code(body + sign)] == [SIGNS[check]]


@given(place=st.integers(0, 16), other=st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"))
def test_one_sign_that_is_another_is_seen(place, other):
    code = "91350100M000100Y43"
    changed = code[:place] + other + code[place + 1 :]
    assert is_credit_code(changed) is (changed == code)


@given(st.text(max_size=20))
def test_tidying_a_company_or_a_job_twice_is_tidying_it_once(text):
    company = kinds.tidy_company(
        CompanyDraft(name=text, aliases=[text, text], registration_number=text, website=text)
    )
    assert kinds.tidy_company(company) == company
    job = kinds.tidy_job(
        JobDraft(title=text, company_name=text, skills=[text, text.upper()], description=text)
    )
    assert kinds.tidy_job(job) == job
