"""Many jobs in one call: read from files, checked together, drawn together, told in a result list."""
