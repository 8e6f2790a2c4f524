"""docs/operations.md against the code: a new reason, event, metric, variable or flag arrives with its line."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase

from looma_operator import cli, metrics, options, webhooks, webhooks_sync
from looma_operator.names import ConditionType, EventReason, Phase, Reason, SyncConditionType, SyncPhase
from looma_operator.plan.requests import Action
from looma_operator.plan.sync_requests import SYNC_ACTIONS

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "operations.md").read_text()
LISTED = set(re.findall(r"^\| `([^`]+)`", TEXT, flags=re.MULTILINE))
METRICS = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
COMMAND = typer.main.get_command(cli.app)


OF_SYNC_JOBS = (*SyncConditionType, *SyncPhase, *SYNC_ACTIONS)
WEBHOOKS = (webhooks.ADMIT_SERVICE, webhooks_sync.ADMIT_SYNC_JOB)


@pytest.mark.parametrize(
    "name", [*ConditionType, *Reason, *EventReason, *Phase, *Action.__args__, *OF_SYNC_JOBS]
)
def test_what_status_and_events_say_is_explained(name):
    assert str(name) in LISTED


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric._name)
def test_a_metric_is_listed(metric):
    suffix = "_total" if metric._type == "counter" else ""
    assert metric._name + suffix in LISTED
    assert metric._name.startswith("looma_operator_")


def test_a_variable_is_listed():
    source = inspect.getsource(options)
    used = set(re.findall(r'"((?:LOOMA|POD)_[A-Z_]+)"', source))
    assert used
    assert used <= LISTED


@pytest.mark.parametrize("path", WEBHOOKS)
def test_a_webhook_path_is_listed(path):
    assert f"/{path}" in LISTED


def test_commands_and_options_are_listed():
    assert set(COMMAND.commands) == {row.split()[0] for row in LISTED if row.split()[0] in COMMAND.commands}
    for name, command in COMMAND.commands.items():
        for parameter in command.params:
            for flag in parameter.opts:
                if flag.startswith("--") and flag != "--help":
                    assert flag in LISTED, f"{name} {flag}"


def test_exit_statuses_are_told():
    for number in (cli.FAILED, cli.NOT_FOUND, cli.TIMED_OUT):
        assert re.search(rf"Exit status: .*\b{number} ", TEXT)
