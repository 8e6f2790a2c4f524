"""The web console: Flask, HTMX, server-rendered."""
