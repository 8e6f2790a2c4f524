"""Limits of an answer's size. Pure.

HAProxy has rules for what an answer declares, and none for bytes that go by. So those are counted by a filter in Lua,
which HAProxy runs itself; only backends of rules with a limit have it. By then the status is sent: all that is left is
to break the answer off, so that the caller does not take a part of it for the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from looma_engines.gateway.haproxy import answers
from looma_engines.gateway.haproxy.text import Lines, key, mark
from looma_engines.gateway.model import Rule

FILE = "answer-sizes.lua"
FILTER = "answer-sizes"
_VARIABLE = "txn.most_answered"

# The end of an answer in chunks counts as one byte. Returning an error does nothing, raising one closes both sides.
_PROGRAM = f"""\
local Size = {{}}
Size.id = "{FILTER}"
Size.flags = filter.FLT_CFG_FL_HTX
Size.__index = Size

function Size:new()
  return setmetatable({{most = nil, seen = 0}}, Size)
end

function Size:http_headers(txn, message)
  if message.channel:is_resp() then
    self.most = txn:get_var("{_VARIABLE}")
    self.seen = 0
    if self.most then
      filter.register_data_filter(self, message.channel)
    end
  end
end

function Size:http_payload(txn, message)
  self.seen = self.seen + message:input()
  if self.seen > self.most + 1 then
    error("an answer has more than " .. self.most .. " bytes and is broken off", 0)
  end
end

core.register_filter("{FILTER}", Size, function(made, arguments) return made end)
"""


def files(rules: Iterable[Rule]) -> dict[str, str]:
    """The filter's file, where a rule needs it."""
    return {FILE: _PROGRAM} if any(_limit(rule) for rule in rules) else {}


def load_lines(rules: Iterable[Rule], *, folder: str) -> Lines:
    """Lines of `global` that load the filter, where a rule needs it."""
    # A thread of its own state each: with one for all, threads would wait for one another.
    return [f"lua-load-per-thread {folder}/{path}" for path in files(rules)]


def limit_lines(rules: Sequence[Rule], streams: Iterable[str]) -> Lines:
    """Lines of a backend to which these rules lead.

    | the answer                              | what comes of it                       |
    | --------------------------------------- | -------------------------------------- |
    | declares a length over the limit        | 502 in its place                       |
    | declares none, and goes over the limit  | the connection is closed at that point |
    | is a stream, by its type                | passes                                 |
    | is one to HEAD, or 304                  | passes: the length is of another one   |
    """
    by_limit: dict[int, list[str]] = {}
    for rule in rules:
        if limit := _limit(rule):
            by_limit.setdefault(limit, []).append(key(rule.name))
    if not by_limit:
        return []
    lines = [f"filter lua.{FILTER}"]
    for limit, names in sorted(by_limit.items()):
        lines += mark(_VARIABLE, f"int({limit})", "txn.rule", names, stage="http-response")
    kinds = " ".join(streams)
    over = f"{{ var({_VARIABLE}) -m found }} {{ res.fhdr(content-length),sub({_VARIABLE}) gt 0 }}"
    return [
        *lines,
        f"http-response unset-var({_VARIABLE}) if {{ res.hdr(content-type) -m beg -i {kinds} }}",
        answers.refuse(
            answers.RESPONSE_TOO_LARGE,
            f"{over} !{{ var(txn.method) -m str HEAD }} !{{ status 304 }}",
            stage="http-response",
        ),
    ]


def _limit(rule: Rule) -> int | None:
    return rule.policy.max_response_bytes
