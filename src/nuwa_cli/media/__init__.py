"""Files ↔ arrays. numpy, Pillow and PyAV only; nothing here knows a model."""
