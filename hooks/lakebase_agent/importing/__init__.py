"""`lakebase-agent adopt --import-memory`: copy what an agent stored before it was adopted."""
