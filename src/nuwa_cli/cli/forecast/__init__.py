"""What a run will take: tokens, waves, seconds on this machine, memory."""
