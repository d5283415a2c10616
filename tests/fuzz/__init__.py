"""Fuzzed bytes and answers: whatever an endpoint sends, each contract gives a verdict and each reader its own error."""
