"""What all generating commands share: options, names, inputs, runs, what is said."""
