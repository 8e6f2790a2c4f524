"""Migrations of the schema `console`, run by `looma-migrate` under the owner's role."""
