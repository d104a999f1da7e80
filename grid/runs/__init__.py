"""A run: what is asked, by which method, from the plan to the report."""
