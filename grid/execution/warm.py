"""What a worker imports before its first trial; Ray has the workers that it starts in advance import this module.

Nothing else imports it: a process that does not train would import torch for nothing.
"""

import gc
import os
from pathlib import Path

from cifar_models.environment import WARM_WORKERS

if folder := os.environ.get(WARM_WORKERS):
    gc.disable()  # it takes a fifth of the time of these imports, and finds nothing
    import torch._dynamo  # noqa: F401  # torch's optimizers import it at their first step

    import grid.execution.trial  # noqa: F401

    gc.enable()
    Path(folder, str(os.getpid())).touch()
