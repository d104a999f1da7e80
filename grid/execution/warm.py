"""What a worker imports before its first trial; Ray starts workers that import this module while the run still plans.

Nothing else imports it: a process that does not train would import torch for nothing.
"""

import gc
import os

from cifar_models.environment import TRAINS_NOT

if TRAINS_NOT not in os.environ:
    gc.disable()  # it takes a fifth of the time of these imports, and finds nothing

    import grid.execution.trial  # noqa: F401

    gc.enable()
