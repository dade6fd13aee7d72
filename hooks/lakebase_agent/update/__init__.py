"""`lakebase-agent update`: bringing a project to another version of its template."""
