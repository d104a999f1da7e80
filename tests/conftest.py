"""Settings of every test process."""

import os

# before torch is imported: small models are no faster on more threads, and on a busy machine much slower
os.environ.setdefault("OMP_NUM_THREADS", "1")
