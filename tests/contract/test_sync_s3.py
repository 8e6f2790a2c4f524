"""A file in S3, of a real store: it is here whole, as its ETag says, or not at all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from looma_engines.sync_worker.inputs import BadInputError
from looma_engines.talent_sync.syncing.sources.remote.asking import Asker, SourceAwayError
from looma_engines.talent_sync.syncing.sources.remote.fetching import Fetch
from looma_engines.talent_sync.syncing.sources.remote.s3 import SignedObject
from support.remote_sources import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server

# Where nothing is compiled yet, the store itself takes minutes.
pytestmark = pytest.mark.timeout(1800)
CONTENT = random.Random(7).randbytes(700_000)  # noqa: S311 - no secret


def asker(patience: float = 3.0) -> Asker:
    return Asker(httpx.Client(trust_env=False), patience=patience)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


def signed(store: S3Server, *, secret: str = SECRET_KEY) -> SignedObject:
    return SignedObject(
        bucket=BUCKET,
        key="imports/people of ours.jsonl",
        region="us-east-1",
        endpoint=store.url,
        access_key_id=ACCESS_KEY,
        secret_access_key=secret,
    )


def test_an_object_comes_whole_from_a_real_store(store: S3Server, tmp_path: Path) -> None:
    store.put("imports/people of ours.jsonl", CONTENT)
    asking = asker()
    found = Fetch(asking, signed(store).address, tmp_path / "here", is_s3=True).run()
    assert found.path.read_bytes() == CONTENT
    # What lies on its disk is other than what was put: its ETag tells.
    (store.bucket / "imports" / "people of ours.jsonl").write_bytes(bytes(reversed(CONTENT)))
    hasty = asker(patience=0.5)
    with pytest.raises(SourceAwayError, match="another md5"):
        Fetch(hasty, signed(store).address, tmp_path / "there", is_s3=True).run()


def test_a_store_refuses_a_wrong_key(store: S3Server, tmp_path: Path) -> None:
    store.put("imports/people of ours.jsonl", CONTENT)
    with pytest.raises(BadInputError, match="answers 403") as caught:
        Fetch(asker(), signed(store, secret="another").address, tmp_path / "here").run()
    assert "X-Amz-Signature" not in str(caught.value)
