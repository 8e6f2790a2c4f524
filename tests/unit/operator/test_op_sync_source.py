"""What shards say of a source over HTTP, as the operator's metrics."""

from __future__ import annotations

from prometheus_client import REGISTRY

from looma_core.api.syncjob import ShardQuality, ShardReport
from looma_operator import reconcile_sync
from looma_operator.sync_resources import SyncJobStatus

NAME = {"namespace": "looma", "name": "from-elsewhere"}


def value(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"looma_operator_sync_source_{metric}", {**NAME, **labels})


def shard(number: int, *, epoch: int = 2, **changes: object) -> ShardReport:
    return ShardReport(shard=number, epoch=epoch, **changes)  # type: ignore[arg-type]


def test_what_all_shards_of_the_latest_run_asked_is_added_up_and_nothing_of_an_earlier_one():
    asked = [
        shard(0, source_requests={"200": 7, "429": 2}, source_retries=2, source_throttled_seconds=1.5),
        shard(1, source_requests={"200": 5, "none": 1}, source_retries=1, source_throttled_seconds=0.25),
        shard(2, epoch=1, source_requests={"500": 9}, source_retries=9),
    ]
    reconcile_sync._show(*NAME.values(), SyncJobStatus(epoch=2, shards=tuple(asked)))
    assert (value("requests", code="200"), value("requests", code="429"), value("requests", code="none")) == (
        12,
        2,
        1,
    )
    assert value("requests", code="500") is None
    assert (value("retries"), value("throttled_seconds")) == (3, 1.75)
    later = SyncJobStatus(epoch=3, shards=(shard(0, epoch=3, source_requests={"200": 1}, source_retries=0),))
    reconcile_sync._show(*NAME.values(), later)
    assert (value("requests", code="200"), value("requests", code="429"), value("retries")) == (1, None, 0)
    reconcile_sync._forget(*NAME.values())
    assert (value("requests", code="200"), value("retries"), value("throttled_seconds")) == (None, None, None)


def quality(when: str) -> float | None:
    return REGISTRY.get_sample_value("looma_operator_sync_quality", {**NAME, "when": when})


def test_how_good_the_records_of_all_shards_were_and_are():
    many = ShardQuality(records_before=3, score_before=240, records_after=4, score_after=380)
    few = ShardQuality(records_after=1, score_after=50)
    shards = (shard(0, quality=many), shard(1, quality=few), shard(2, epoch=1, quality=few), shard(3))
    reconcile_sync._show(*NAME.values(), SyncJobStatus(epoch=2, shards=shards))
    assert (quality("before"), quality("after")) == (80, 86)
    reconcile_sync._show(*NAME.values(), SyncJobStatus(epoch=3, shards=(shard(0, epoch=3, quality=few),)))
    assert (quality("before"), quality("after")) == (None, 50), "a first run has nothing before it"
    reconcile_sync._forget(*NAME.values())
    assert (quality("before"), quality("after")) == (None, None)


def test_a_run_of_a_file_says_nothing_of_it():
    reconcile_sync._show(*NAME.values(), SyncJobStatus(epoch=2, shards=(shard(0, read=5),)))
    assert value("retries") is None
    reconcile_sync._forget(*NAME.values())
