"""Accounts: an admin adds people, gives them roles, closes accounts, and reads the audit."""
