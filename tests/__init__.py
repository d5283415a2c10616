"""Tests of the plugin, the lab, the reference and the reports, and the proof of every contract."""
