"""For ops: SyncJobs with their runs and workers, live, and what may be asked of them."""
