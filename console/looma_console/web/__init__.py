"""What every view shares: permissions, sessions, security headers, language, htmx, static files."""
