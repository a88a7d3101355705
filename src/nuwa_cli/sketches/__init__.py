"""Segmentation sketches: the classes and their colours, maps out of pictures, maps in motion."""
