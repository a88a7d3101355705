"""Results to look at: in the terminal, on a sheet, while they are made."""
