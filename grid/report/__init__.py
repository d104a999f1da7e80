"""Pages for people: their content, their charts, the files."""
