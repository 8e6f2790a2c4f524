"""What engine and worker say to each other: MessagePack with a length in front.

A frame is four bytes of length (big-endian) and the message. A length above ``MAX_FRAME`` ends the talk.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

import msgspec

from looma_core.api.resume import Entity, ParsedResume, SkillMention
from looma_engines.resume.documents.model import Limits

MAX_FRAME: Final = 256 * 2**20
HEADER: Final = struct.Struct(">I")

JobKind = Literal["file", "text", "entities", "skills"]


class Job(msgspec.Struct, kw_only=True):
    """One thing to do: parse a file's bytes or a text, or find spans in a text."""

    kind: JobKind
    data: bytes = b""
    text: str = ""
    limits: Limits = msgspec.field(default_factory=Limits)


class Refusal(msgspec.Struct):
    """A ``DocumentProblem`` as data."""

    code: str
    detail: str


class Result(msgspec.Struct, kw_only=True):
    """The worker's answer; exactly one of the first four is set."""

    refusal: Refusal | None = None
    parsed: ParsedResume | None = None
    entities: list[Entity] | None = None
    skills: list[SkillMention] | None = None
    media_type: str = ""
    read_seconds: float = 0.0
    parse_seconds: float = 0.0
    #: The worker is worn out (it met its memory limit) and wants to be replaced.
    worn: bool = False


class Ready(msgspec.Struct):
    """First message of a worker, once its pipeline is built."""

    pid: int


job_encoder: Final = msgspec.msgpack.Encoder()
job_decoder: Final = msgspec.msgpack.Decoder(Job)
result_decoder: Final = msgspec.msgpack.Decoder(Result)
ready_decoder: Final = msgspec.msgpack.Decoder(Ready)


def frame(message: msgspec.Struct) -> bytes:
    """``message`` with its length in front."""
    body = job_encoder.encode(message)
    return HEADER.pack(len(body)) + body
