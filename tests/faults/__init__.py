"""What may befall a run or a results folder, made to happen many times: `python -m tests.faults`.

Each try has a folder of its own with victims around the results folder; whatever of them differs afterwards, in bytes,
mode, time or name, is a failure, as is a lost trial, a traceback and a command that never ends.
"""
