"""Timings beside their peers, and error rates. For a quiet machine; docs/benchmarks.md says what each is."""
