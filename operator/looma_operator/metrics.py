"""The operator's Prometheus metrics, all of them; docs/operations.md lists each (a test compares)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILE_SECONDS = Histogram(
    "looma_operator_reconcile_seconds",
    "Time of one look, from reading to the written status, or of each half of it, in seconds.",
    ["kind", "result"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ACTIONS = Counter(
    "looma_operator_actions_total",
    "Writes by kind of object, action (apply, create, delete, status) and result (done, refused, gone, conflict, "
    "failed).",
    ["kind", "action", "result"],
)
QUEUE_DEPTH = Gauge("looma_operator_queue_depth", "Objects that wait for their reconcile.")
RETRIES = Counter("looma_operator_retries_total", "Reconciles that failed and were put back.", ["kind"])
FORGOTTEN = Counter(
    "looma_operator_forgotten_total",
    "Objects that nothing would have looked at again, found by the list.",
    ["kind"],
)
LEADER = Gauge("looma_operator_leader", "1 where this replica leads, 0 where it stands by.")
LEADER_EPOCH = Gauge("looma_operator_leader_epoch", "leaseTransitions of the Lease as last seen.")
FENCED = Counter("looma_operator_fenced_total", "Writes that were stopped because leadership had run out.")
PHASE = Gauge(
    "looma_operator_service_phase", "1 for the phase that an AIService is in.", ["namespace", "name", "phase"]
)
CANARY_WEIGHT = Gauge(
    "looma_operator_canary_weight",
    "Percent of the requests that a rollout's new revision was meant to get (requested) and gets (achieved; absent "
    "while the gateways do not say).",
    ["namespace", "name", "kind"],
)
CANARY_STEP = Gauge(
    "looma_operator_canary_step",
    "Step of a canary, counted from 0; as many as there are steps when all are over. Absent without a canary.",
    ["namespace", "name"],
)
ROLLOUT_SECONDS = Histogram(
    "looma_operator_rollout_seconds",
    "Time of one rollout, from the first look at it to its end, in seconds, by strategy and result (Completed, "
    "RolledBack, Failed, Aborted, Replaced).",
    ["strategy", "result"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400),
)
EVENTS = Counter(
    "looma_operator_events_total",
    "Events posted about AIServices, by reason: rollouts that began, ended, failed or were aborted among them.",
    ["reason"],
)
SYNC_PHASE = Gauge(
    "looma_operator_sync_phase", "1 for the phase that a SyncJob is in.", ["namespace", "name", "phase"]
)
SYNC_RUNS = Counter(
    "looma_operator_sync_runs_total",
    "Runs of SyncJobs that ended, by result (Succeeded, Failed, Canceled).",
    ["namespace", "name", "result"],
)
SYNC_RUN_SECONDS = Histogram(
    "looma_operator_sync_run_seconds",
    "Time of one run, from being let in to its end, in seconds.",
    ["result"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
)
SYNC_EPOCH = Gauge("looma_operator_sync_epoch", "Number of a SyncJob's latest run.", ["namespace", "name"])
SYNC_RECORDS = Gauge(
    "looma_operator_sync_records",
    "Records of a SyncJob's latest run, by what became of them (read, created, updated, unchanged, deleted, conflicts, "
    "resolved, quarantined, failed, repaired, written_back, write_refused, write_moved).",
    ["namespace", "name", "kind"],
)
SYNC_SOURCE_REQUESTS = Gauge(
    "looma_operator_sync_source_requests",
    "Questions of a SyncJob's latest run to a source over HTTP, by code (none where nothing was answered, or not to "
    "its end).",
    ["namespace", "name", "code"],
)
SYNC_SOURCE_RETRIES = Gauge(
    "looma_operator_sync_source_retries",
    "Questions of a SyncJob's latest run that were asked again.",
    ["namespace", "name"],
)
SYNC_SOURCE_THROTTLED = Gauge(
    "looma_operator_sync_source_throttled_seconds",
    "Seconds for which a SyncJob's latest run left its source alone, as the source asked or as requestsPerSecond has "
    "it.",
    ["namespace", "name"],
)
SYNC_QUALITY = Gauge(
    "looma_operator_sync_quality",
    "Mean score, 0 to 100, of the records that a SyncJob's latest run met, before it and after it (when: before, "
    "after).",
    ["namespace", "name", "when"],
)
SYNC_LAST_SUCCESS = Gauge(
    "looma_operator_sync_last_success_timestamp_seconds",
    "When a run of a SyncJob last succeeded, in seconds since 1970. Absent before that.",
    ["namespace", "name"],
)
ANALYSIS_VERDICTS = Counter(
    "looma_operator_analysis_verdicts_total",
    "Measurements of analyses, by metric (errorRate, latencyP95, latencyP99, saturation, shadowDifference, "
    "compareErrorRate, compareLatency, prometheus, http, probes, job) and verdict (Successful, Failed, Suspicious, "
    "Inconclusive, Error).",
    ["metric", "verdict"],
)
ADMISSIONS = Counter(
    "looma_operator_admissions_total",
    "Admission requests by webhook and answer (allowed, refused, failed).",
    ["webhook", "answer"],
)
NOTIFICATIONS = Counter(
    "looma_operator_notifications_total",
    "Tries to tell a receiver, by outcome: delivered, retried (it comes again), refused (it does not), and dropped "
    "(untold for a day, or one of too many).",
    ["receiver", "type", "outcome"],
)
NOTIFICATIONS_WAITING = Gauge(
    "looma_operator_notifications_waiting", "Messages that wait to be sent.", ["receiver"]
)
NOTIFICATION_SECONDS = Histogram(
    "looma_operator_notification_seconds",
    "Time from a happening to the receiver's answer that it has it, in seconds.",
    ["receiver"],
    buckets=(0.25, 0.5, 1, 2, 5, 10, 20, 60, 300, 3600, 86400),
)
