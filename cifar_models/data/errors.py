"""The mistakes in the data that a user can put right; whoever runs this prints each as one line."""


class DataError(Exception):
    """Data that can't be used. Its message is one line that names the file or the setting and says what to do."""
