"""The subcommands of `codetalker`: each parses, calls and prints; the work is done elsewhere."""
