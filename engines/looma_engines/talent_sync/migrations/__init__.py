"""Migrations of the schema `talent_sync`, run by `looma-migrate`."""
