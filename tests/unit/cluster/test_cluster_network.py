"""The node's wire: which network it gets, and which rules are its own."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_cluster.builtin import network
from looma_cluster.builtin.network import LINKS, NoRoomError, choose_link, interface_name, tagged_rules

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", fullmatch=True)


@given(names)
def test_an_interface_name_fits_the_kernel(name):
    assert len(interface_name(name)) <= 15


@given(names, st.lists(st.sampled_from(list(LINKS.subnets(new_prefix=24))), max_size=200, unique=True))
def test_a_link_clashes_with_nothing_that_is_there(name, taken):
    link = choose_link(name, taken=[str(network) for network in taken])
    assert not any(ip_network(link.subnet).overlaps(other) for other in taken)
    assert {link.host, link.node} == {str(host) for host in ip_network(link.subnet).hosts()}


def test_a_link_stays_the_same_while_it_can():
    first = choose_link("looma", taken=[])
    assert choose_link("looma", taken=["192.168.0.0/16", "fd00::/8", "10.0.0.5"]) == first
    assert choose_link("looma", taken=[first.subnet]) != first


def test_a_full_range_is_said():
    with pytest.raises(NoRoomError, match=r"10\.213"):
        choose_link("looma", taken=["10.0.0.0/8"])


def test_only_rules_with_the_tag_are_ours():
    listed = """\
-P FORWARD ACCEPT
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -o lm-0123 -m comment --comment "looma lm-0123" -j DROP
-A FORWARD -o lm-01234 -m comment --comment "looma lm-01234" -j DROP
-A FORWARD -m comment --comment "somebody's lm-0123" -j ACCEPT
"""
    assert tagged_rules(listed, "lm-0123") == [
        ["FORWARD", "-o", "lm-0123", "-m", "comment", "--comment", "looma lm-0123", "-j", "DROP"]
    ]


def test_the_outside_opens_no_connection_to_the_node():
    link = choose_link("looma", taken=[])
    forward = [rule for table, chain, rule in network.outward_rules(link) if chain == "FORWARD"]
    inward = [rule for rule in forward if rule[:2] == ["-o", link.interface]]
    assert [rule[-1] for rule in inward] == ["ACCEPT", "DROP"]
    assert "RELATED,ESTABLISHED" in inward[0]


def test_a_taken_port_is_passed_over():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not network.port_is_free(port)
        assert network.free_port(port) > port
        assert network.free_port(port, taken=[port + 1]) > port + 1
