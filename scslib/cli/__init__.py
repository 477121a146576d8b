"""The command `scs`; each subcommand calls one function of the library."""
