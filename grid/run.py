"""Entry of `python grid/run.py …` and `ray submit cluster.yaml grid/run.py -- …`: the command `cifar-grid`.

Ray copies this file alone to the head node, so it may import nothing by its own folder; and run as a script it has
that folder first on the path, where `grid` would mean a file in it. Hence the package has to be installed.
"""

import sys

if __name__ == "__main__":
    sys.path[:] = sys.path[1:]  # the folder of this file, which is not where packages are
    try:
        from grid.cli import main
    except ModuleNotFoundError as error:
        sys.exit(
            f"cifar-grid: {error.name} is not installed in {sys.executable}; run `make setup`, or pip install -e ."
        )
    main()
