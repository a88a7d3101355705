"""`nuwa`: NÜWA on the command line: one 3D encoder-decoder for pictures and clips."""

__version__ = "0.1.0"
