"""Timings and ratios. They are for people to read, on a quiet machine; none of them is a test."""
