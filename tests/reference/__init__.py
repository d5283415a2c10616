"""Tests of the embedded reference server."""
