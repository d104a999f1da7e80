"""What a run would take, said before it starts: how fast trials are, and what follows for time, GPU hours and bytes."""
