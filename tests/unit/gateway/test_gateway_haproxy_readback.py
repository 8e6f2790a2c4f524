"""Answers of HAProxy 3.0, as it gave them, read into values."""

from __future__ import annotations

import pytest

from looma_engines.gateway.haproxy.readback import (
    Breaker,
    Server,
    Stat,
    Unreadable,
    breakers_of,
    carried_states,
    parse_map,
    parse_servers,
    parse_stat,
    parse_table,
    parse_workers,
)

SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port
4 looma_a_80 1 e-10-0-0-1-80 10.0.0.1 2 0 100 100 80
4 looma_a_80 2 e-10-0-0-2-80 10.0.0.2 0 1 100 100 80
4 looma_a_80 3 e-10-0-0-3-80 10.0.0.3 2 8 100 100 80
"""


def test_servers():
    def server(number: int, **changes) -> Server:
        known = {"backend": "looma_a_80", "port": 80, "weight": 100, "up": True, "maintenance": False}
        return Server(name=f"e-10-0-0-{number}-80", address=f"10.0.0.{number}", **(known | changes))

    assert parse_servers(SERVERS) == (server(1), server(2, up=False, maintenance=True), server(3, weight=0))
    assert parse_servers("1\n# be_id be_name\n") == ()


def test_what_a_new_worker_is_told_of_the_servers():
    changed = SERVERS.replace("2 0 100 100 80", "2 0 7 100 80")
    down = "4 looma_a_80 4 e-10-0-0-4-80 10.0.0.4 0 0 100 100 80\n"
    first, names, one, *_ = SERVERS.splitlines()
    # The one in maintenance and the one that drains begin anew; a weight is the new files'.
    assert carried_states(changed + down) == f"{first}\n{names}\n{one}\n{down}"


@pytest.mark.parametrize(
    "text",
    ["", "1\n", "2\n# be_id\n", "1\nno names\n", "1\n# be_id srv_admin_state\n4 0\n", SERVERS + "4 b\n"],
)
def test_states_of_another_form_are_not_carried(text: str):
    with pytest.raises(Unreadable):
        carried_states(text)


def test_map():
    assert parse_map("0x55d0 looma:a:0:0 950\n0x55d1 looma:a:0:1 1000\n") == {
        "looma:a:0:0": "950",
        "looma:a:0:1": "1000",
    }


def test_stat():
    names = "pxname,svname,scur,stot,status,econ,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,more"
    (row,) = parse_stat(f"# {names},\nlooma_a_80,BACKEND,1,7,UP,3,0,4,,1,2,0,x,\n")
    assert row == Stat(
        proxy="looma_a_80",
        name="BACKEND",
        status="UP",
        sessions=1,
        total=7,
        answered=(0, 4, 0, 1, 2, 0),
        unconnected=3,
    )


def test_workers():
    text = """#<PID>          <type>          <reloads>       <uptime>        <version>
19375           master          1 [failed: 0]   0d00h00m05s     3.0.11
# workers
19403           worker          0               0d00h00m00s     3.0.11
# old workers
19377           worker          1               0d00h00m05s     3.0.11
# programs
"""
    assert parse_workers(text) == (19403, 19377)


def test_tables():
    text = (
        "# table: gateway/breaker_g, type: string, size:10240, used:2\n"
        "0x7f1: key=looma_a_80 use=0 exp=86399 shard=0 gpt0=956346484 gpt1=3 gpt2=2 gpc0=9\n"
        "0x7f2: key=looma_b_80 use=1 exp=86399 shard=0 gpt0=0 gpt1=2\n"
    )
    assert breakers_of(parse_table(text)) == (
        Breaker(backend="looma_a_80", opened=956346484, epoch=3, openings=2, refused=9),
        Breaker(backend="looma_b_80", opened=0, epoch=2),
    )
    assert [breaker.open for breaker in breakers_of(parse_table(text))] == [True, False]
    (entry,) = parse_table("# table: t\n0x1: key=k use=0 exp=1 shard=0 gpc0=5 gpc0_rate(2000)=4\n")
    assert entry.values["gpc0_rate"] == 4


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_servers, ""),
        (parse_servers, "2\n"),
        (parse_servers, "1\n# be_name srv_name\na b\n"),
        (parse_map, "Unknown map identifier."),
        (parse_stat, "nonsense"),
        (parse_stat, "# pxname,svname\na,b\n"),
        (parse_workers, "Unknown command"),
        (parse_table, "No such table"),
        (parse_table, "# table: t\nnonsense\n"),
    ],
)
def test_what_has_another_form_is_told(parse, text):
    with pytest.raises(Unreadable):
        parse(text)
