"""The operator, with waits of seconds where it has minutes: how late it notices what a watch did not tell.

| variable              | in place of                                                    |
| --------------------- | -------------------------------------------------------------- |
| TEST_SILENCE_SECONDS  | the silence after which a watch is taken for dead              |
| TEST_RESYNC_SECONDS   | the time after which an object, and the list of all, is looked at again |
"""

from __future__ import annotations

import os

import looma_core.kube

looma_core.kube.SILENCE_SECONDS = float(os.environ["TEST_SILENCE_SECONDS"])  # type: ignore[misc]

# After it: the operator's modules take the figure when they are imported.
from looma_operator import main, reconcile  # noqa: E402
from looma_operator.kube import peers  # noqa: E402

if __name__ == "__main__":
    reconcile.RESYNC_SECONDS = peers.REFRESH_SECONDS = float(os.environ["TEST_RESYNC_SECONDS"])
    main.main(["run"])
