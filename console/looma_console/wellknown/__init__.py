"""What machines ask for: keys, health, metrics."""
