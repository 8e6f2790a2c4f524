"""What a file is called: when it comes, and when it is saved. Pure."""

from __future__ import annotations

from urllib.parse import quote

LONGEST = 255
UNNAMED = "resume"


def plain_name(sent: str) -> str:
    r"""A file's own name, as the last part of what was sent.

    | sent                        | answer          |
    | --------------------------- | --------------- |
    | C:\Users\Ada\cv.pdf          | cv.pdf          |
    | ../../etc/cv.pdf            | cv.pdf          |
    | cv.pdf CR LF Set-Cookie: a  | cv.pdfSet-Cookie: a |
    | 简历 "林黛".pdf               | 简历 "林黛".pdf  |
    | (nothing)                   | resume          |
    """
    base = sent.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(char for char in base if char.isprintable()).strip()
    # The end has what kind of file it is.
    return shown[-LONGEST:] or UNNAMED


def disposition(name: str) -> str:
    """Value of `Content-Disposition` with which a browser saves the file and never shows it.

    Everything but letters and digits of ASCII is written in percent signs (RFC 8187): nothing in a name ends the
    header, or begins another.
    """
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
