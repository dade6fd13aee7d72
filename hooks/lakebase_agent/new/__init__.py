"""`lakebase-agent new`: generate a project."""
