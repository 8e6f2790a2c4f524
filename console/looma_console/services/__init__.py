"""For ops: services with their revisions and events, live, and going back to an earlier revision."""
