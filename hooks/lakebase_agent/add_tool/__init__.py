"""`lakebase-agent add-tool`: give an agent a tool of its workspace, and the right to use it."""
