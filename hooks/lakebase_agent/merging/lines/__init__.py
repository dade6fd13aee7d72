"""Merging one definition: matching its lines, and placing what was inserted."""
