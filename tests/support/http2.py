"""Requests in HTTP/2's own frames (RFC 9113), byte for byte: what a client library would not send, a test can.

`opening` begins a connection, `asking` is one request of it, and `bodies` are the answers' bodies by stream.
"""

from __future__ import annotations

_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_HEAD = 9  # Bytes before each frame's payload.


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _text(value: str) -> bytes:
    """A string literal without Huffman's code (RFC 7541, 5.1 and 5.2)."""
    length, coded = len(value), bytearray()
    if length < 127:
        coded.append(length)
    else:
        coded.append(127)
        length -= 127
        while length >= 128:
            coded.append(length % 128 + 128)
            length //= 128
        coded.append(length)
    return bytes(coded) + value.encode()


def opening() -> bytes:
    """What a client sends first."""
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, 0, 0, b"")


def asking(
    target: str, *, stream: int = 1, method: str = "POST", body: bytes | None = None, **headers: str
) -> bytes:
    """One request; with a body of any length that is not declared, or with none at all."""
    known = {":method": method, ":scheme": "http", ":path": target, ":authority": "a.example", **headers}
    # Each header as a literal that is never indexed (RFC 7541, 6.2.3).
    block = b"".join(b"\x10" + _text(name) + _text(value) for name, value in known.items())
    if body is None:
        return frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, block)
    return frame(_HEADERS, _END_HEADERS, stream, block) + frame(_DATA, _END_STREAM, stream, body)


def bodies(answer: bytes) -> dict[int, bytes]:
    """The bodies of all answers on a connection, by stream."""
    found: dict[int, bytes] = {}
    while len(answer) >= _HEAD:
        length, kind = int.from_bytes(answer[:3], "big"), answer[3]
        stream = int.from_bytes(answer[5:_HEAD], "big")
        payload, answer = answer[_HEAD : _HEAD + length], answer[_HEAD + length :]
        if kind == _DATA:
            found[stream] = found.get(stream, b"") + payload
    return found
