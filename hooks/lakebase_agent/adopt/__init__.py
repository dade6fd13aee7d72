"""`lakebase-agent adopt`: add memory to an agent that was not generated."""
