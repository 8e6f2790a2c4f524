"""The queue's fill: everything where leadership begins; what the queue should know and does not, now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from looma_core.kube import KubeError

from .kube.client import Kube
from .leadership import Leadership
from .metrics import FORGOTTEN
from .queueing import WorkQueue
from .reconcile import all_keys

_log = logging.getLogger(__name__)
REFILL_SECONDS = 2.0


async def fill(queue: WorkQueue, kube: Kube, leadership: Leadership, namespaces: Sequence[str]) -> None:
    """Look at everything once leadership begins; tries until the API server lists it."""
    queue.clear()
    for namespace in namespaces:
        while leadership.leads:
            try:
                for key in await all_keys(kube, namespace):
                    queue.add(key)
                break
            except KubeError as error:
                _log.warning("could not list %s: %s", namespace, error.message)
                await asyncio.sleep(REFILL_SECONDS)


async def sweep(queue: WorkQueue, kube: Kube, leadership: Leadership, namespaces: Sequence[str]) -> None:
    """Have every object looked at that the queue does not know: each that exists should be in it, if only for later.

    What wakes an object is heard once; should that ever be lost, this is how late it is noticed at most.
    """
    for namespace in namespaces:
        try:
            keys = await all_keys(kube, namespace)
        except KubeError as error:
            _log.warning("could not list %s: %s", namespace, error.message)
            continue
        for key in keys:
            if leadership.leads and not queue.knows(key):
                _log.warning("%s %s/%s was forgotten; it is looked at now", key.kind, key.namespace, key.name)
                FORGOTTEN.labels(kind=key.kind).inc()
                queue.add(key)
