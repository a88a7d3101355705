"""NUWA-Infinity: pictures and clips patch by patch, of any size, in memory that does not grow with them."""
