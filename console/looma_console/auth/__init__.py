"""Signing in and out, the own account, and what keeps guessing slow."""
