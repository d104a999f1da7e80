"""Training the planned trials on Ray: a trial, the launch, its resources, its progress."""
