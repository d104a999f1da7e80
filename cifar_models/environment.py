"""The environment of processes that train; no torch here, since it must be there before torch is imported."""

WORKER_ENVIRONMENT = {
    # glibc otherwise gives every activation back to the kernel, and faults it in again at each step
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "536870912",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # every trial has a thread of its own, and one of Ray's may take the arena that the thread before it left, with all
    # that this keeps: a worker grew by half a gigabyte a trial
    "MALLOC_ARENA_MAX": "1",
    # without it cuBLAS is not deterministic
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""It must be there when the process starts; other systems than Linux ignore it."""

WARM_WORKERS = "CIFAR_GRID_WARM_WORKERS"
"""Names, in the environment of workers, a folder where each that has imported what trials need leaves a file; empty for
workers that never train."""
