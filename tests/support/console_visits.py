"""Somebody who is signed in to the console of a running instance, as a browser without script is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import httpx

from support.cluster import Cluster


@contextlib.contextmanager
def visiting(cluster: Cluster, address: str = "") -> Iterator[httpx.Client]:
    """A client with the session of the first account, at the instance's own address or another one."""
    with httpx.Client(base_url=address or cluster.address, timeout=20, follow_redirects=True) as visitor:
        (token,) = re.findall(r'name="csrf_token" value="([^"]+)"', visitor.get("/login").text)[:1]
        form = {"csrf_token": token, "login": "admin", "password": cluster.admin_password}
        visitor.post("/login", data=form).raise_for_status()
        yield visitor
