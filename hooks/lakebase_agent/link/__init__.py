"""`lakebase-agent link`: connect a project to a workspace."""
