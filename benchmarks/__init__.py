"""Pondage beside what a user would pick instead, measured in one run. docs/performance.md says how to read it."""
