"""Companies and their jobs, in both languages. Every name is made up; a company's `slug` never changes."""

from __future__ import annotations

import msgspec

from looma_core.api.company import CompanyDraft
from looma_core.api.job import JobDraft, Salary
from looma_core.api.resume import DEMO_SOURCE
from looma_core.api.source import Source


class Employer(msgspec.Struct, frozen=True, kw_only=True):
    """One made-up company and the jobs that it has."""

    company: CompanyDraft
    jobs: tuple[JobDraft, ...]


def _source(slug: str) -> Source:
    return Source(type=DEMO_SOURCE, ref=slug)


EMPLOYERS = (
    Employer(
        company=CompanyDraft(
            name="Harbour Payments Ltd",
            aliases=["Harbour"],
            website="https://harbour-payments.example.org",
            industry="Payments",
            size="201-1000",
            location="London, United Kingdom",
            description="Settles card payments for shops and travel companies, and tells them the same day.",
            language="en",
            source=_source("harbour-payments"),
        ),
        jobs=(
            JobDraft(
                title="Senior Backend Engineer",
                location="London, United Kingdom",
                workplace="hybrid",
                employment="full-time",
                description=(
                    "You keep the settlement service correct while it grows: Python and Go, PostgreSQL, Kafka and "
                    "Kubernetes, in a team of six that is on call for what it builds."
                ),
                skills=["Python", "Go", "PostgreSQL", "Apache Kafka", "Kubernetes"],
                experience_years=5,
                salary=Salary(min=75_000, max=95_000, currency="GBP", per="year"),
                source=_source("harbour-payments/senior-backend-engineer"),
            ),
            JobDraft(
                title="Data Engineer",
                workplace="remote",
                employment="full-time",
                description=(
                    "Pipelines that bring ten million payments a day to analysts before breakfast: Python, SQL, "
                    "Airflow, and tests that say when a number looks odd."
                ),
                skills=["Python", "SQL", "Airflow", "Docker"],
                experience_years=3,
                degree="bachelor",
                salary=Salary(min=60_000, max=78_000, currency="GBP", per="year"),
                openings=2,
                source=_source("harbour-payments/data-engineer"),
            ),
        ),
    ),
    Employer(
        company=CompanyDraft(
            name="Fernway Travel",
            website="https://fernway.example.org",
            industry="Travel",
            size="51-200",
            location="Leeds, United Kingdom",
            description="Trains, ferries and small hotels in one ticket, for people who would rather not fly.",
            language="en",
            source=_source("fernway-travel"),
        ),
        jobs=(
            JobDraft(
                title="Frontend Developer",
                location="Leeds, United Kingdom",
                workplace="on-site",
                employment="contract",
                description=(
                    "The booking pages, from the search to the ticket, in TypeScript and React. They must work with a "
                    "keyboard, with a screen reader and on a train."
                ),
                skills=["TypeScript", "React", "CSS", "Accessibility"],
                experience_years=2,
                salary=Salary(min=350, max=420, currency="GBP", per="day"),
                source=_source("fernway-travel/frontend-developer"),
            ),
        ),
    ),
    Employer(
        company=CompanyDraft(
            name="云栈科技有限公司",
            aliases=["云栈"],
            website="https://yunzhan.example.org",
            industry="企业软件",
            size="201-1000",
            location="上海市",
            description="为零售企业提供订单、库存与结算的一体化平台。",
            language="zh",
            source=_source("yunzhan"),
        ),
        jobs=(
            JobDraft(
                title="高级后端工程师",
                location="上海市",
                workplace="on-site",
                employment="full-time",
                description=(
                    "负责订单中心的架构设计与性能优化，使用 Go 与 Kubernetes，与六位同事维护日均千万笔订单的稳定运行。"
                ),
                skills=["Go", "Kubernetes", "MySQL", "Kafka", "微服务"],
                experience_years=5,
                degree="bachelor",
                salary=Salary(min=35_000, max=50_000, currency="CNY", per="month"),
                language="zh",
                source=_source("yunzhan/senior-backend-engineer"),
            ),
            JobDraft(
                title="前端开发实习生",
                location="上海市",
                workplace="on-site",
                employment="internship",
                description="参与商家后台的页面开发，使用 TypeScript 与 Vue，由导师带领，学习自动化测试与代码评审。",
                skills=["TypeScript", "Vue", "HTML"],
                salary=Salary(min=200, max=300, currency="CNY", per="day"),
                openings=3,
                language="zh",
                source=_source("yunzhan/frontend-intern"),
            ),
        ),
    ),
    Employer(
        company=CompanyDraft(
            name="知言智能科技有限公司",
            aliases=["知言智能"],
            website="https://zhiyan.example.org",
            industry="人工智能",
            size="51-200",
            location="北京市",
            description="面向客服与招聘场景的中文语言技术。",
            language="zh",
            source=_source("zhiyan"),
        ),
        jobs=(
            JobDraft(
                title="算法工程师",
                location="北京市",
                workplace="hybrid",
                employment="full-time",
                description="负责中文信息抽取与语义匹配模型的训练、评测与上线，关注模型在真实数据上的效果与推理成本。",
                skills=["Python", "PyTorch", "自然语言处理", "机器学习"],
                experience_years=3,
                degree="master",
                salary=Salary(min=40_000, max=60_000, currency="CNY", per="month"),
                language="zh",
                source=_source("zhiyan/algorithm-engineer"),
            ),
        ),
    ),
)
"""Who looks for people like those of the demonstration."""
