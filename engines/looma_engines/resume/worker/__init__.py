"""Documents are read and parsed in processes of their own, so that a hostile file harms no one.

``pool.WorkerPool`` is the engine's side: it keeps workers, gives each one document at a time, ends and
replaces a worker that takes too long, and turns its death into a problem. ``process`` is the worker: no
secrets in its environment, a cap on memory, no files to write. They speak ``messages`` over pipes; pickle
is not used, since a worker that was taken over must not be able to take over the engine.
"""

from looma_engines.resume.worker.pool import PoolBusy, WorkerPool

__all__ = ["PoolBusy", "WorkerPool"]
