"""Decisions: pure functions from what is asked for and what was observed to what is to be done.

| module    | question |
| --------- | -------- |
| content   | What would run, and which revision is that? |
| counts    | How many pods does each revision get next? |
| rollout   | Does the rollout go on, end, or fail? |
| rollback  | Is this a return to an earlier revision, and how fast? |
| history   | Which revisions are kept? |
| routes    | Which paths does the service own? |
| requests  | What does the annotation looma.dev/request ask for? |
| children  | Which writes do the children need, and which deletions? |
| drift     | Does a child differ from what was rendered? |
| conditions| What does status say? |
| analysis  | Which analyses run, and what do they say of going on? |
| metric    | When is a metric measured next, and what do its measurements come to? |
| judging   | What is one measurement? |
| comparing | Is the canary worse than chance explains? |
| queries   | What is asked, and where? |
| service   | All of the above, for one AIService |
| records   | The status of ModelVersions |
| sync      | What to do for one SyncJob; its parts are `sync_…` |

Nothing here reads a clock, a socket or the environment; `now` is an argument.
"""
