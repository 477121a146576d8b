"""The command `scs`: each subcommand parses its options and calls one function of the library."""
