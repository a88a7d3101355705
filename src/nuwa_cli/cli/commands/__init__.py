"""One module a command, or a few that share their options: parse, check, call, print."""
