"""``python -m softh``: the command line."""

from softh.cli import main

if __name__ == "__main__":
    main()
