"""`lakebase-agent`: generate, link, examine and update agent projects, and adopt existing ones."""
