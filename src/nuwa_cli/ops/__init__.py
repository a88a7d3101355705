"""Pure functions on tensors: no modules, no config, no files. The paper's mathematics."""
