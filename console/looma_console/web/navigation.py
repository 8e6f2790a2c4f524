"""What every page's frame needs: the menu that the person's permissions give, and small template helpers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from flask import Flask, g, request, url_for
from flask_babel import LazyString, format_datetime, format_timedelta, lazy_gettext

from looma_console.web.permissions import Permission


@dataclass(frozen=True)
class Entry:
    """One entry of the menu."""

    endpoint: str
    label: LazyString
    permission: Permission
    icon: str
    section: str
    name: str = ""
    """The kind of record, where an endpoint is of several."""


MENU = (
    Entry("people.index", lazy_gettext("People"), Permission.PEOPLE_READ, "people", "/people"),
    Entry("records.index", lazy_gettext("Jobs"), Permission.PEOPLE_READ, "jobs", "/jobs", "jobs"),
    Entry(
        "records.index",
        lazy_gettext("Companies"),
        Permission.PEOPLE_READ,
        "companies",
        "/companies",
        "companies",
    ),
    Entry("skills.index", lazy_gettext("Skills"), Permission.PEOPLE_READ, "skills", "/skills"),
    Entry("resumes.form", lazy_gettext("Upload"), Permission.PEOPLE_WRITE, "upload", "/resumes"),
    Entry("incoming.quarantine", lazy_gettext("Incoming"), Permission.PEOPLE_READ, "download", "/incoming"),
    Entry("services.index", lazy_gettext("Services"), Permission.SERVICES_READ, "services", "/services"),
    Entry("gateway.index", lazy_gettext("Traffic"), Permission.SERVICES_READ, "traffic", "/gateway"),
    Entry("models.index", lazy_gettext("Models"), Permission.SERVICES_READ, "models", "/models"),
    Entry("syncs.index", lazy_gettext("Syncs"), Permission.SYNCS_READ, "sync", "/syncs"),
    Entry("rights.erasures", lazy_gettext("Privacy"), Permission.PEOPLE_RIGHTS, "check", "/privacy"),
    Entry("database.index", lazy_gettext("Database"), Permission.DATABASE_READ, "database", "/database"),
    Entry("users.index", lazy_gettext("Accounts"), Permission.USERS_MANAGE, "accounts", "/users"),
    Entry("users.audit", lazy_gettext("Audit"), Permission.AUDIT_READ, "audit", "/audit"),
)

KIT = ("icon", "logo", "csrf", "field", "badge", "when")
"""Macros of `kit.html` that every template may call."""


def init_app(app: Flask) -> None:
    """Give templates `me`, `menu`, `may`, and the filters `ago` and `moment`."""

    @app.context_processor
    def frame() -> dict[str, object]:
        me = g.get("person")
        granted = me.permissions if me else frozenset()
        menu = [
            {
                "href": url_for(entry.endpoint, name=entry.name) if entry.name else url_for(entry.endpoint),
                "label": entry.label,
                "icon": entry.icon,
                "here": request.path == entry.section or request.path.startswith(entry.section + "/"),
            }
            for entry in MENU
            if entry.permission in granted
        ]
        return {"me": me, "menu": menu, "may": lambda name: Permission(name) in granted, "here": _here()}

    app.jinja_env.filters["ago"] = ago
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.filters["filesize"] = filesize
    # As globals and not imported by each template: a block that is rendered alone sees no imports of its file.
    kit = app.jinja_env.get_template("kit.html").module
    app.jinja_env.globals.update({name: getattr(kit, name) for name in KIT})


def ago(at: dt.datetime | None) -> str:
    """How long ago, in the page's language; empty for None."""
    if at is None:
        return ""
    # A pod's clock may be a little ahead of ours: "in 1 second" would look like a mistake.
    since = max(dt.datetime.now(dt.UTC) - at, dt.timedelta(0))
    return str(format_timedelta(-since, add_direction=True))


def moment(at: dt.datetime | None) -> str:
    """The time itself, in the page's language and in UTC; empty for None."""
    return "" if at is None else f"{format_datetime(at, 'medium')} UTC"


def filesize(size: int) -> str:
    """Bytes for people: 1.4 MB."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def _here() -> str:
    """The address of this page, to come back to after switching the language."""
    return request.full_path.rstrip("?") if request.method == "GET" else request.path
