"""`lakebase-agent doctor`: find what is wrong between a project and its workspace."""
