"""Models into the real registry and out of it: pushed as `looma model push` does, fetched as a pod does."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from looma_cluster.models import Model, ModelError, send
from looma_core.api.models import PodModel, parse_failure
from looma_engines.models import fetch as fetching
from looma_engines.models.fetch import fetch, new_client
from looma_engines.models.registry import FetchError, Registry, parse_uri, read_login
from support.registry import CuttingProxy, RunningRegistry

BIN = Path(sys.executable).parent
SIZE = 3_000_000


def model_file(folder: Path, content: bytes | None = None) -> Path:
    """A JSON of three megabytes, or other bytes under its name."""
    file = folder / "model.json"
    file.write_bytes(
        content if content is not None else json.dumps({"weights": os.urandom(SIZE // 2).hex()}).encode()
    )
    return file


def pushed(registry: RunningRegistry, file: Path) -> str:
    """The address of the file as an artifact in the registry."""
    described = Model(file=file, name="ner", version="1.0.0", format="json")
    digest = send(described, f"{registry.host}/models", plain_http=True)
    return f"oci://{registry.host}/models/ner@{digest}"


def wanted(uri: str, folder: Path) -> PodModel:
    """What a pod is told of it."""
    path = folder / "models" / "ner-1.0.0" / "model.json"
    return PodModel(name="ner-1.0.0", model="ner", version="1.0.0", format="json", uri=uri, path=str(path))


def get(model: PodModel) -> Path:
    """Fetch it with no waits between tries."""
    with new_client() as client:
        return fetch(model, client=client, plain_http=True, first_wait=0.01)


def blob_digest(uri: str) -> str:
    with new_client() as client:
        return Registry(client, parse_uri(uri), plain_http=True).blob().digest


def through(proxy: CuttingProxy, uri: str) -> str:
    return re.sub(r"^oci://[^/]+", f"oci://{proxy.host}", uri)


def address(registry: RunningRegistry) -> tuple[str, int]:
    host, _, port = registry.host.partition(":")
    return host, int(port)


def ranges(proxy: CuttingProxy) -> list[int]:
    """The bytes from which blobs were asked for, where not from the first."""
    return [
        int(found) for found in re.findall(rb"range: bytes=(\d+)-", b"".join(proxy.requests), re.IGNORECASE)
    ]


def test_what_was_pushed_is_fetched_whole_and_read_only(registry: RunningRegistry, tmp_path: Path):
    file = model_file(tmp_path)
    path = get(wanted(pushed(registry, file), tmp_path))
    assert path.read_bytes() == file.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o444
    assert [item.name for item in path.parent.iterdir()] == ["model.json"]


def test_pushing_again_gives_the_same_digest_and_another_file_another(
    registry: RunningRegistry, tmp_path: Path
):
    first = pushed(registry, model_file(tmp_path, b"[1]"))
    assert pushed(registry, model_file(tmp_path, b"[1]")) == first
    assert pushed(registry, model_file(tmp_path, b"[2]")) != first


def test_a_file_of_several_parts_is_pushed_and_fetched(registry: RunningRegistry, tmp_path: Path):
    # Parts have 16 MiB.
    file = model_file(tmp_path, b'"' + b"a" * (40 * 1024 * 1024) + b'"')
    assert get(wanted(pushed(registry, file), tmp_path)).stat().st_size == file.stat().st_size


def test_the_registry_lets_nobody_delete(registry: RunningRegistry, tmp_path: Path):
    digest = pushed(registry, model_file(tmp_path, b"[1]")).partition("@")[2]
    answer = httpx.delete(f"http://{registry.host}/v2/models/ner/manifests/{digest}", trust_env=False)
    assert answer.status_code == 405


def test_a_connection_that_breaks_goes_on_where_it_ended(registry: RunningRegistry, tmp_path: Path):
    file = model_file(tmp_path)
    uri = pushed(registry, file)
    cuts = [SIZE // 4, SIZE // 3, SIZE // 5]
    with CuttingProxy(address(registry), list(cuts)) as proxy:
        path = get(wanted(through(proxy, uri), tmp_path))
        asked = ranges(proxy)
    assert path.read_bytes() == file.read_bytes()
    assert len(asked) == len(cuts)
    assert asked == sorted(asked)
    assert asked[0] > SIZE // 5


def test_more_breaks_than_tries_do_no_harm_as_long_as_each_brings_something(
    registry: RunningRegistry, tmp_path: Path
):
    file = model_file(tmp_path)
    uri = pushed(registry, file)
    cuts = [SIZE // 40] * (3 * fetching.TRIES)
    with CuttingProxy(address(registry), cuts) as proxy:
        assert get(wanted(through(proxy, uri), tmp_path)).read_bytes() == file.read_bytes()


def test_a_container_that_starts_again_goes_on_with_the_part_that_it_left(
    registry: RunningRegistry, tmp_path: Path
):
    file = model_file(tmp_path)
    uri = pushed(registry, file)
    with (
        CuttingProxy(address(registry), [SIZE // 2], refuses=True) as proxy,
        pytest.raises(FetchError, match="given up after 8 tries") as caught,
    ):
        get(wanted(through(proxy, uri), tmp_path))
    assert caught.value.reason == "FetchFailed"
    (part,) = (tmp_path / "models" / "ner-1.0.0").iterdir()
    assert part.name == "model.json.part"
    left = part.stat().st_size
    assert left > SIZE // 4
    with CuttingProxy(address(registry), []) as proxy:
        assert get(wanted(through(proxy, uri), tmp_path)).read_bytes() == file.read_bytes()
        assert ranges(proxy) == [left]


def test_what_is_there_already_is_hashed_and_not_fetched_again(registry: RunningRegistry, tmp_path: Path):
    uri = pushed(registry, model_file(tmp_path))
    with CuttingProxy(address(registry), []) as proxy:
        model = wanted(through(proxy, uri), tmp_path)
        get(model)
        get(model)
        asked = b"".join(proxy.requests)
    assert (asked.count(b"/manifests/"), asked.count(b"/blobs/")) == (2, 1)


def test_a_part_with_wrong_bytes_is_fetched_anew(registry: RunningRegistry, tmp_path: Path):
    file = model_file(tmp_path)
    model = wanted(pushed(registry, file), tmp_path)
    part = Path(f"{model.path}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert get(model).read_bytes() == file.read_bytes()


def test_a_flipped_bit_never_gets_the_files_name(registry: RunningRegistry, tmp_path: Path):
    uri = pushed(registry, model_file(tmp_path))
    registry.flip_a_byte(blob_digest(uri))
    with pytest.raises(FetchError, match=r"the file has sha256:[0-9a-f]{64}, not sha256:") as caught:
        get(wanted(uri, tmp_path))
    assert caught.value.reason == "DigestMismatch"
    assert list((tmp_path / "models" / "ner-1.0.0").iterdir()) == []


def test_a_flipped_bit_of_the_manifest_is_found_as_well(registry: RunningRegistry, tmp_path: Path):
    uri = pushed(registry, model_file(tmp_path, b"[1]"))
    registry.flip_a_byte(uri.partition("@")[2])
    with pytest.raises(FetchError) as caught:
        get(wanted(uri, tmp_path))
    # The registry itself may find that it is no manifest any more.
    assert caught.value.reason in {"DigestMismatch", "FetchFailed", "ArtifactMissing"}


@pytest.mark.parametrize("where", ["another digest", "another repository"])
def test_an_artifact_that_is_not_there_is_said_to_be_missing(
    registry: RunningRegistry, tmp_path: Path, where: str
):
    uri = pushed(registry, model_file(tmp_path, b"[1]"))
    wrong = (
        uri.partition("@")[0] + "@sha256:" + "0" * 64
        if where == "another digest"
        else uri.replace("/models/ner@", "/models/other@")
    )
    with pytest.raises(FetchError, match=r"has no manifests/sha256:") as caught:
        get(wanted(wrong, tmp_path))
    assert caught.value.reason == "ArtifactMissing"


def test_a_file_of_another_format_is_refused_after_its_digest_was_right(
    registry: RunningRegistry, tmp_path: Path
):
    uri = pushed(registry, model_file(tmp_path, b"no JSON at all"))
    with pytest.raises(FetchError, match="the file is said to be json, but it is no JSON") as caught:
        get(wanted(uri, tmp_path))
    assert caught.value.reason == "UnreadableFormat"
    assert list((tmp_path / "models" / "ner-1.0.0").iterdir()) == []


def login(folder: Path, host: str, password: str) -> Path:
    """A file as `docker login` writes it, and a Secret of that type has it."""
    file = folder / ".dockerconfigjson"
    auth = base64.b64encode(f"reader:{password}".encode()).decode()
    file.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return file


def test_a_registry_that_wants_a_login_gets_that_of_its_host(guarded_later, tmp_path: Path):
    with guarded_later(guarded=False) as registry:
        uri = pushed(registry, model_file(tmp_path, b"[1]"))
    with guarded_later(guarded=True) as registry, new_client() as client:
        model = wanted(re.sub(r"^oci://[^/]+", f"oci://{registry.host}", uri), tmp_path)

        def try_with(password: str, host: str = registry.host) -> None:
            known = read_login(login(tmp_path, host, password), registry.host)
            fetch(model, client=client, plain_http=True, login=known, first_wait=0.01)

        for wrong, says in (
            ({"password": "open sesame", "host": "elsewhere"}, "wants a login"),
            ({"password": "guessed"}, "answered 401"),
        ):
            with pytest.raises(FetchError, match=says) as caught:
                try_with(**wrong)
            assert caught.value.reason == "FetchFailed"
        try_with("open sesame")
    assert Path(model.path).read_bytes() == b"[1]"


def test_a_login_that_is_no_such_file_is_said_and_none_is_none(tmp_path: Path):
    assert read_login(tmp_path / "none", "host") == ""
    file = tmp_path / ".dockerconfigjson"
    file.write_text('{"auths": {"host": {"username": "reader", "password": "x"}}}')
    assert base64.b64decode(read_login(file, "host")) == b"reader:x"
    file.write_text("[]")
    with pytest.raises(FetchError, match="the Secret with the registry's login is wrong"):
        read_login(file, "host")


def run(model: PodModel, registry: RunningRegistry, tmp_path: Path) -> tuple[int, str, Path]:
    """The command as a pod runs it: its exit status, what it printed, and its last words' file."""
    last_words = tmp_path / "termination-log"
    entry = {name: getattr(model, name) for name in ("name", "model", "version", "format", "uri", "path")}
    done = subprocess.run(
        [str(BIN / "looma-model-fetch")],
        env={
            "PATH": os.environ.get("PATH", ""),
            "LOOMA_MODELS": json.dumps([entry]),
            "LOOMA_PLAIN_HTTP_REGISTRY": registry.host,
            "LOOMA_TERMINATION_MESSAGE": str(last_words),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr, last_words


def test_the_command_says_what_it_did_and_in_its_last_words_why_it_could_not(
    registry: RunningRegistry, tmp_path: Path
):
    uri = pushed(registry, model_file(tmp_path, b"[1]"))
    model = wanted(uri, tmp_path)
    status, said, last_words = run(model, registry, tmp_path)
    assert (status, last_words.exists()) == (0, False), said
    assert "3 bytes, verified" in said
    Path(model.path).unlink()
    registry.flip_a_byte(blob_digest(uri))
    status, said, last_words = run(model, registry, tmp_path)
    failure = parse_failure(last_words.read_text())
    assert status == 1
    assert failure is not None
    assert (failure.reason, failure.name) == ("DigestMismatch", "ner-1.0.0")
    assert str(failure) in said


def test_a_registry_that_is_away_is_told_when_a_model_is_pushed(tmp_path: Path):
    described = Model(file=model_file(tmp_path, b"[1]"), name="ner", version="1.0.0", format="json")
    with pytest.raises(ModelError, match=r"the registry at 127\.0\.0\.1:9/models did not take model\.json"):
        send(described, "127.0.0.1:9/models", plain_http=True)
