"""Workers of SyncJobs: a frame that keeps the contract, and one small worker that counts.

| module    | what it holds |
| --------- | ------------- |
| inputs    | what the operator told this pod, read from the environment |
| cluster   | the SyncJob in the Kubernetes API: its epoch, and this shard's entry of `status.shards` |
| frame     | the run of one shard: fence, batch, report, exit code; any `Worker` can be put into it |
| counting  | a worker that reads the records of its shard and writes none |
| main      | `looma-engine sync-worker` |

The contract itself is `looma_core.api.syncjob`, explained in docs/sync-workers.md.
"""
