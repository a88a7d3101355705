"""The 3D encoder-decoder and the small text-image dual encoder that re-ranks its samples."""
