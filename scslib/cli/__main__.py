"""`python -m scslib.cli` is `scs`."""

from scslib.cli.main import main

if __name__ == "__main__":
    main()
