"""What sync jobs brought: records that were refused, conflicts that wait for a person, and reports of runs."""
