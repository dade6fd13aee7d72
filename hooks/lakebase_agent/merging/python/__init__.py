"""Reading Python: its units, and the names in it."""
