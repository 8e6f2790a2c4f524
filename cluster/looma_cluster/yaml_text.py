"""YAML that says the same to every reader.

PyYAML writes a text as 123e45 without quotes, since YAML 1.1 wants a dot in such a number; kubectl and helm read one
there. A tag or digest of hexadecimal digits is such a text now and then.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_NUMBER_TO_OTHERS = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_LINE_ENDS = {"\r", "\x85", "\u2028", "\u2029", "\ufeff"}


class _Dumper(yaml.SafeDumper):
    """PyYAML's, with quotes around what others take for a number."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # Line ends other than a line feed are escaped in double quotes alone, and lost elsewhere.
    style = '"' if set(value) & _LINE_ENDS else "'" if _NUMBER_TO_OTHERS.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:  # noqa: ANN401 - any JSON
    """One document, keys in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
