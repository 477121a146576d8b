"""`python -m scslib` is `scs`."""

from scslib.cli import main

main(prog_name="scs")
