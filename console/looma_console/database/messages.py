"""What the page about the database says."""

from __future__ import annotations

from flask_babel import LazyString, lazy_gettext

SORTS: dict[str, LazyString] = {
    "total": lazy_gettext("Most time in all"),
    "mean": lazy_gettext("Slowest on average"),
    "max": lazy_gettext("Slowest once"),
    "calls": lazy_gettext("Most often"),
}
STATES: dict[str, LazyString] = {
    "missing": lazy_gettext(
        "Statements are not counted: the database has no extension pg_stat_statements. All else is shown."
    ),
    "not-loaded": lazy_gettext(
        "Statements are not counted: pg_stat_statements is not loaded. It belongs into shared_preload_libraries,"
        " and the database then starts again."
    ),
    "not-readable": lazy_gettext(
        "Statements are counted, but the application's role may not read the counts: it needs SELECT on"
        " pg_stat_statements."
    ),
}
