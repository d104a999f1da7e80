"""What is asked: YAML questions, checked line by line and expanded into the arms of a study."""
