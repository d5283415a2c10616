"""Hostile endpoints: one server behaviour a row, each run through the real command line."""
