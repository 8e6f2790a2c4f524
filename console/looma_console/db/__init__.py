"""The console's own schema: users, sessions, audit and login failures, all under row-level security."""
