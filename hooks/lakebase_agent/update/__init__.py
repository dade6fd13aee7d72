"""`lakebase-agent update`: bring a project to another version of its template."""
