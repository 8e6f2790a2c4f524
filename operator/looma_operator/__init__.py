"""The operator: three resources turned into children, rollouts and rollbacks."""
