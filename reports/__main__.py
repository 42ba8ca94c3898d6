"""The start of ``ftcost``, and of ``python -m reports``: the program without Python's collector of cycles.

A run is short and keeps what it makes: looking for cycles, while modules load and once more at the end, would only
cost time.
"""

import gc


def start() -> None:
    """Run the command line; what it made is left to the end of the process."""
    gc.disable()
    from reports.cli import main

    try:
        main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    start()
