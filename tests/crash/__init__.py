"""Runs that end badly: real processes, killed, interrupted, out of disk, and in each other's way."""
