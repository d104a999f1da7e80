# syntax=docker/dockerfile:1
# cifar-grid with its environment; what follows the image's name goes to `cifar-grid`.
#
#     docker build --tag cifar-grid .                              # with CUDA, which makes most of its 6 GB
#     docker build --tag cifar-grid:cpu --build-arg TORCH=cpu --build-arg CPU_BUILDS=URL .    # without
#     docker run --rm --shm-size=4g --volume "$PWD/results:/grid/results" --user "$(id -u)" cifar-grid:cpu run q2
#
# URL is the package index of PyTorch's CPU builds, as pytorch.org names it under "Get started".
# With GPUs add `--gpus all`; the host needs NVIDIA's driver and its container toolkit. Ray keeps the images of a run in
# /dev/shm, for which Docker leaves 64 MB: without --shm-size they go to files, which is slow.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS environment
ARG TORCH=cuda
ARG CPU_BUILDS
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build
RUN python3 -m venv /opt/env
COPY requirements.lock ./

# All that the lock names, by its checksum, as wheels: no code of theirs runs while they are fetched. The torch that it
# names is the CUDA build; the CPU's is the same version from PyTorch's own index, without a checksum of ours.
RUN case "$TORCH" in \
      cuda) cp requirements.lock wanted.lock ;; \
      cpu) \
        : "${CPU_BUILDS:?give the index of the CPU builds with --build-arg CPU_BUILDS=URL}"; \
        awk '/^[a-z]/ { keep = !/^(torch|torchvision|triton|nvidia-[^=]*|cuda-[^=]*)==/ } keep' requirements.lock \
          > wanted.lock; \
        grep -oE '^(torch|torchvision)==[0-9.]+' requirements.lock > torch.lock; \
        /opt/env/bin/pip download --no-deps --only-binary=:all: --dest wheels --index-url "$CPU_BUILDS" -r torch.lock ;; \
      *) echo "TORCH is cuda or cpu, not $TORCH" >&2; exit 2 ;; \
    esac; \
    /opt/env/bin/pip download --no-deps --only-binary=:all: --dest wheels --require-hashes -r wanted.lock

# Of these what the project needs on a cluster, and none of the tools that test it.
COPY pyproject.toml README.md LICENSE ./
COPY cifar_models ./cifar_models
COPY grid ./grid
RUN /opt/env/bin/pip install --no-index --find-links=wheels --upgrade setuptools; \
    /opt/env/bin/pip install --no-index --find-links=wheels --no-build-isolation '.[cluster]'; \
    /opt/env/bin/pip check

FROM ${PYTHON}
COPY --from=environment /opt/env /opt/env
# Any user may run it (--user, or Kubernetes' runAsUser): Ray wants a home that it can write to.
RUN useradd --uid 1000 --home-dir /home/grid grid && install --directory --mode=1777 /home/grid /grid /grid/results
ENV PATH=/opt/env/bin:$PATH HOME=/home/grid RAY_USAGE_STATS_ENABLED=0
USER 1000
WORKDIR /grid
ENTRYPOINT ["cifar-grid"]
CMD ["--help"]
