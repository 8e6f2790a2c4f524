"""What all deployables share: settings, logging, metrics, tokens, problem details, database, HTTP frame."""
