"""Measuring for analyses: what `plan/` orders is asked for here, beside the looks, and handed to the next one.

| module    | does |
| --------- | ---- |
| clients   | asks Prometheus, an HTTP address, or a revision's pods, once |
| probing   | sends a set of probes and scores the answers |
| pointer   | finds a value in a JSON document |
| measuring | carries orders out, a few at a time, and keeps the answers until a look has written them down |
"""
