"""What ours stands beside, each written as its own documentation teaches it and run in a process of its own."""
