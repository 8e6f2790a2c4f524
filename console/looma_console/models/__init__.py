"""For ops: models by version, with their gates, why one was refused, and which revisions have them."""
