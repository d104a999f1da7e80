"""Settings of every test process."""

import os

# before torch is imported: small models are no faster on more threads, and on a busy machine much slower
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a Ray of one's own, never a cluster that happens to run on this machine
os.environ.setdefault("RAY_ADDRESS", "local")
