"""Models into a registry: a file becomes an OCI artifact, and its address a ModelVersion.

The registry is the release's: its ConfigMap `looma-models` says which. The chart's own one is reached by
`kubectl port-forward`, with the rights of the instance's kubeconfig; another one as oras does, with the login that
`docker login` left.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from looma_cluster.kubernetes import Kubectl, Object
from looma_core.api.models import CONFIG_TYPE, ENDINGS, MEDIA_TYPE, Format, UnreadableError, check_file

CONFIG_MAP = "looma-models"
CHANNEL_LABEL = "looma.dev/channel"
NAME_LENGTH = 63
ANSWER_SECONDS = 15.0
_MODEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# The expression that semver.org suggests.
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-((0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(\+([0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*))?"
)
_EVALUATION = re.compile(r"(?P<dataset>.+):(?P<metric>[^:=]+)=(?P<value>[^:=]+)")


class ModelError(RuntimeError):
    """The model cannot be pushed; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good the version is: the `value` of a metric on a dataset."""

    dataset: str
    metric: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Model:
    """One version of a model, as the command line describes it."""

    file: Path
    name: str
    version: str
    format: Format
    evaluation: Evaluation | None = None
    min_evaluation: float | None = None
    channel: str = ""

    @property
    def object_name(self) -> str:
        """Name of its ModelVersion: `resume-ner-1.4.0`."""
        return f"{self.name}-{self.version.replace('+', '-').lower()}"

    @property
    def tag(self) -> str:
        """Its tag in the registry, in which no `+` may be: `_` instead, as Helm does."""
        return self.version.replace("+", "_")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """Where models are: `address` as pods see it, without the model's name; `service` if it is in the cluster."""

    address: str
    service: str = ""


def parse_evaluation(text: str) -> Evaluation:
    """DATASET:METRIC=VALUE as a value.

    Raises:
        ModelError: if the text is another.
    """
    found = _EVALUATION.fullmatch(text)
    try:
        if found is not None:
            return Evaluation(dataset=found["dataset"], metric=found["metric"], value=float(found["value"]))
    except ValueError:
        pass
    raise ModelError(f"--evaluation {text}: write DATASET:METRIC=VALUE, as held-out:f1=0.91")


def check(model: Model) -> None:
    """Refuse what the cluster would refuse, or a pod, before anything is sent.

    Raises:
        ModelError: with what to change.
    """
    if not _MODEL.fullmatch(model.name):
        raise ModelError(f"--model {model.name}: write lower-case letters, digits and '-', as resume-ner")
    if not _VERSION.fullmatch(model.version):
        raise ModelError(f"--version {model.version}: write a semantic version without a leading v, as 1.4.0")
    if len(model.object_name) > NAME_LENGTH:
        raise ModelError(
            f"{model.object_name} is longer than {NAME_LENGTH} letters: shorten model or version"
        )
    if model.min_evaluation is not None and model.evaluation is None:
        raise ModelError("--min-evaluation: write --evaluation as well; its value is what the gate looks at")
    if not model.file.is_file():
        raise ModelError(
            f"{model.file} is no file" if model.file.exists() else f"there is no file {model.file}"
        )
    if not model.file.name.lower().endswith(ENDINGS[model.format]):
        endings = " or ".join(ENDINGS[model.format])
        raise ModelError(
            f"{model.file.name}: the file of a model in the format {model.format} ends in {endings}"
        )
    try:
        check_file(model.file, model.format)
    except UnreadableError as error:
        raise ModelError(f"{model.file.name} is not in the format {model.format}: {error}") from None


def repository(kubectl: Kubectl) -> Repository:
    """Where the release has its models.

    Raises:
        LookupError: if it has no place for them.
    """
    found = kubectl.objects("configmap", CONFIG_MAP, "--ignore-not-found")
    data = found[0].get("data", {}) if found else {}
    if not data.get("repository"):
        raise LookupError(
            "this release has no registry of models: set registry.enabled or registry.url in its values"
        )
    return Repository(address=data["repository"], service=data.get("service", ""))


@contextmanager
def reached(kubectl: Kubectl, place: Repository) -> Iterator[str]:
    """The address at which this machine reaches the repository.

    Raises:
        ModelError: if kubectl cannot forward a port to it.
    """
    if not place.service:
        yield place.address
        return
    host, _, path = place.address.partition("/")
    words = kubectl.words("port-forward", f"service/{place.service}", f":{host.rpartition(':')[2]}")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = process.stdout.readline() if process.stdout else ""
        found = re.search(r"127\.0\.0\.1:(\d+) ->", said)
        if found is None:
            raise ModelError(f"the registry in the cluster cannot be reached: {said.strip()}")
        yield f"127.0.0.1:{found[1]}/{path}"
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def send(model: Model, address: str, *, plain_http: bool) -> str:
    """Push the file below `address` (HOST[:PORT]/PATH); the digest of the artifact's manifest.

    Raises:
        ModelError: if the registry does not take it.
    """
    import oras.oci
    import oras.provider
    import requests

    registry: Any = oras.provider.Registry(insecure=plain_http)
    # Through a forwarded port nobody's proxy has a part.
    registry.session.trust_env = not plain_http
    container = registry.get_container(f"{address}/{model.name}:{model.tag}")
    try:
        # oras tries for minutes where nobody answers.
        registry.session.get(f"{registry.prefix}://{container.registry}/v2/", timeout=ANSWER_SECONDS)
        registry.auth.load_configs(container)
        with TemporaryDirectory() as folder:
            config_file = Path(folder) / "config.json"
            config_file.write_text(json.dumps({"model": model.name, "version": model.version}))
            layer = oras.oci.NewLayer(str(model.file), media_type=MEDIA_TYPE.format(format=model.format))
            layer["annotations"] = {"org.opencontainers.image.title": model.file.name}
            config, _ = oras.oci.ManifestConfig(str(config_file), CONFIG_TYPE)
            manifest = {**oras.oci.NewManifest(), "config": config, "layers": [layer]}
            manifest["annotations"] = {"org.opencontainers.image.version": model.version}
            # In parts, so that a large file is never held in memory as a whole.
            _accepted(registry.upload_blob(str(model.file), container, layer, do_chunked=True))
            _accepted(registry.upload_blob(str(config_file), container, config))
            answer = registry.upload_manifest(manifest, container)
            _accepted(answer)
    except (requests.RequestException, ValueError) as error:
        raise ModelError(f"the registry at {address} did not take {model.file.name}: {error}") from error
    digest = f"sha256:{hashlib.sha256(answer.request.body).hexdigest()}"
    told = answer.headers.get("Docker-Content-Digest", digest)
    if told != digest:
        raise ModelError(f"the registry at {address} keeps {told} where {digest} was sent")
    return digest


def _accepted(answer: Any) -> None:  # noqa: ANN401 - of requests, which only oras brings
    if answer.status_code not in (200, 201, 202):
        raise ValueError(f"it answered {answer.status_code}: {answer.text[:500]}")


def manifest_of(model: Model, place: Repository, digest: str) -> Object:
    """The ModelVersion for a model that was pushed."""
    metadata: Object = {"name": model.object_name}
    if model.channel:
        metadata["labels"] = {CHANNEL_LABEL: model.channel}
    spec: Object = {
        "model": model.name,
        "version": model.version,
        "format": model.format,
        "artifact": {
            "uri": f"oci://{place.address}/{model.name}@{digest}",
            "sizeBytes": model.file.stat().st_size,
        },
    }
    if model.evaluation is not None:
        spec["evaluation"] = {
            "dataset": model.evaluation.dataset,
            "metric": model.evaluation.metric,
            "value": model.evaluation.value,
        }
    if model.min_evaluation is not None:
        spec["gates"] = {"minEvaluation": model.min_evaluation}
    return {
        "apiVersion": "looma.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": metadata,
        "spec": spec,
    }


def push(kubectl: Kubectl, model: Model) -> Object:
    """Push a model to the release's registry; its ModelVersion.

    Raises:
        ModelError: if it cannot be pushed.
        LookupError: if the release has no registry.
    """
    check(model)
    place = repository(kubectl)
    with reached(kubectl, place) as address:
        digest = send(model, address, plain_http=bool(place.service))
    return manifest_of(model, place, digest)
