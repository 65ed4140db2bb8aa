"""Taxonomies made by code, good and bad, for tests of every level."""
