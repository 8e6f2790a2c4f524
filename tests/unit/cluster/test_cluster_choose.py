"""Which cluster an instance runs on: the table of `choose`, row by row."""

from __future__ import annotations

import pytest

from looma_cluster.choose import ChoiceError, Kind, choose

AUTO, BUILTIN, KIND, CONTEXT = Kind.AUTO, Kind.BUILTIN, Kind.KIND, Kind.CONTEXT


@pytest.mark.parametrize(
    ("wanted", "recorded", "context", "docker_answers", "answer"),
    [
        pytest.param(AUTO, "builtin", "prod", True, BUILTIN, id="an instance stays where it is"),
        pytest.param(AUTO, "kind", "", False, KIND, id="even when Docker is away"),
        pytest.param(AUTO, None, "prod", True, CONTEXT, id="a named context comes first"),
        pytest.param(AUTO, None, "", True, KIND, id="then kind"),
        pytest.param(AUTO, None, "", False, BUILTIN, id="then our own"),
        pytest.param(BUILTIN, None, "prod", True, BUILTIN, id="what was asked for wins"),
        pytest.param(CONTEXT, None, "prod", False, CONTEXT, id="a context that was named"),
        pytest.param(KIND, "kind", "", True, KIND, id="asked for again"),
    ],
)
def test_the_cluster_is(wanted, recorded, context, docker_answers, answer):
    assert choose(wanted=wanted, recorded=recorded, context=context, docker_answers=docker_answers) is answer


def test_the_current_context_is_never_taken():
    with pytest.raises(ChoiceError, match="LOOMA_CONTEXT"):
        choose(wanted=CONTEXT, recorded=None, context="", docker_answers=True)


def test_an_instance_does_not_move():
    with pytest.raises(ChoiceError, match="runs on builtin"):
        choose(wanted=KIND, recorded="builtin", context="", docker_answers=True)
