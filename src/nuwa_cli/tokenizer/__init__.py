"""Raw data ↔ tokens: the VQ-GANs for pictures and sketches, byte-level BPE for text."""
