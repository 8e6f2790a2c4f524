"""Migrations of the schema `resume`, run by `looma-migrate`."""
