"""Parsing Python into units, and finding the names in it."""
