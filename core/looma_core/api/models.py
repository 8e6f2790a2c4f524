"""Models as files: their formats, what a pod is told of them, and how a fetch that failed says why.

Read by `looma model push` before it sends a file, by the init container that fetches it, and by the operator that
judges. So a file that could not be read in a pod is refused before it is pushed.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

Format = Literal["onnx", "spacy", "lightgbm", "json"]
FORMATS: Final[tuple[Format, ...]] = ("onnx", "spacy", "lightgbm", "json")

ENDINGS: Final[dict[Format, tuple[str, ...]]] = {
    "onnx": (".onnx",),
    "spacy": (".tar.gz", ".tgz"),
    "lightgbm": (".txt", ".lgb"),
    "json": (".json",),
}
"""Endings that a file of each format may have; in a pod it has the first."""

MODELS_FOLDER: Final = "/var/lib/looma/models"
"""Where a pod's models are, each in a folder named after its ModelVersion."""

REGISTRY_LOGIN_SECRET: Final = "looma-registry-login"  # noqa: S105 - the name of a Secret, not a secret
REGISTRY_LOGIN: Final = "/run/looma/registry/.dockerconfigjson"
"""The login for a registry, from the Secret of that name (type kubernetes.io/dockerconfigjson) where there is one."""

MEDIA_TYPE: Final = "application/vnd.looma.model.{format}"
CONFIG_TYPE: Final = "application/vnd.looma.model.config.v1+json"

Refused = Literal["ArtifactMissing", "DigestMismatch", "UnreadableFormat"]
REFUSED: Final[tuple[Refused, ...]] = ("ArtifactMissing", "DigestMismatch", "UnreadableFormat")
"""What is wrong with the model itself, however often it is fetched."""
FETCH_FAILED: Final = "FetchFailed"
"""What may be over later: the registry does not answer, or wants a login."""

_TOLD = re.compile(r"^(?P<reason>[A-Z][A-Za-z]+) of (?P<name>[a-z0-9.-]+): (?P<message>.*)$", re.MULTILINE)
_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_ONNX_GRAPH = 7
_PART = 1024 * 1024


class UnreadableError(ValueError):
    """The file is not what its format says; the message says what is wrong."""


class PodModel(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of LOOMA_MODELS: what a pod is told of one of its models. `path` is empty where nothing is fetched."""

    name: str
    model: str
    version: str
    format: Format
    uri: str
    path: str = ""


class FetchFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a model could not be fetched, as the init container's last words say it."""

    reason: str
    name: str
    message: str

    def __str__(self) -> str:
        """The one line that `parse_failure` reads."""
        return f"{self.reason} of {self.name}: {self.message}"


def parse_failure(text: str) -> FetchFailure | None:
    """The failure that an init container told of in its termination message, or None if it told of none."""
    found = _TOLD.search(text)
    return FetchFailure(**found.groupdict()) if found else None


def read_models(text: str) -> list[PodModel]:
    """The models of a pod, as LOOMA_MODELS tells them; for engines and for the container that fetches.

    Raises:
        msgspec.DecodeError: if the text is something else.
    """
    return msgspec.json.decode(text or "[]", type=list[PodModel])


def path_in_pod(name: str, form: Format) -> str:
    """Where the file of the ModelVersion `name` is in a pod."""
    return f"{MODELS_FOLDER}/{name}/model{ENDINGS[form][0]}"


def check_file(path: Path, form: Format) -> None:
    """Whether the file can be what its format says, by its structure, without the library that runs it.

    | format   | what is looked at                                              |
    | -------- | -------------------------------------------------------------- |
    | json     | all of it is one JSON value                                    |
    | onnx     | it is a ModelProto with a graph, of known fields to its end    |
    | lightgbm | it is a text model: begins with `tree`, and has its end        |
    | spacy    | it is a gzipped tar with meta.json (JSON) and config.cfg in it |

    Raises:
        UnreadableError: if it cannot; a file that passes may still be a bad model.
    """
    match form:
        case "json":
            _check_json(path)
        case "onnx":
            with path.open("rb") as file:
                _check_onnx(file, path.stat().st_size)
        case "lightgbm":
            _check_lightgbm(path)
        case "spacy":
            _check_spacy(path)


def _check_json(path: Path) -> None:
    try:
        # Raw keeps the bytes: a large model is not built as objects only to be looked at.
        msgspec.json.decode(path.read_bytes(), type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise UnreadableError(f"it is no JSON: {error}") from None


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise UnreadableError("it is no ONNX model: it ends in the middle of a field")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise UnreadableError("it is no ONNX model: a number in it has no end")


def _check_onnx(file: BinaryIO, size: int) -> None:
    graphs = 0
    while file.tell() < size:
        field, wire = divmod(_varint(file), 8)
        if _ONNX_FIELDS.get(field) != wire:
            raise UnreadableError(f"it is no ONNX model: a ModelProto has no field {field} of type {wire}")
        graphs += field == _ONNX_GRAPH
        length = _varint(file)
        if wire == 2 and file.seek(length, 1) > size:
            raise UnreadableError("it is no ONNX model: it ends in the middle of a field")
    if graphs != 1:
        raise UnreadableError("it is no ONNX model: it has no graph")


def _check_lightgbm(path: Path) -> None:
    with path.open("rb") as file:
        first = file.readline(16).strip()
        # What comes after the trees are their parameters: a few kilobytes, or a list of categories.
        text = b"" if first != b"tree" else file.read()
    if first != b"tree":
        raise UnreadableError("it is no LightGBM text model: its first line is not `tree`")
    if b"\nend of trees" not in text:
        raise UnreadableError("it is no whole LightGBM text model: `end of trees` is missing")


def _check_spacy(path: Path) -> None:
    wanted = {"meta.json", "config.cfg"}
    try:
        # A tar ends before its file does: only all of it shows that nothing is missing.
        with gzip.open(path) as whole:
            while whole.read(_PART):
                pass
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                wanted.discard(name if member.isfile() else "")
                if name == "meta.json" and (content := archive.extractfile(member)):
                    msgspec.json.decode(content.read(), type=msgspec.Raw)
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise UnreadableError(f"it is no whole gzipped tar: {error}") from None
    except msgspec.DecodeError as error:
        raise UnreadableError(f"its meta.json is no JSON: {error}") from None
    if wanted:
        raise UnreadableError(f"it is no spaCy pipeline: it has no {' and no '.join(sorted(wanted))}")
