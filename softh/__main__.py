"""``python -m softh``: the command line."""

from softh.cli.main import main

if __name__ == "__main__":
    main()
