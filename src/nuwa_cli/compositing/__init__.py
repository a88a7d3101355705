"""A user's pixels and the model's square: how one fits the other, where to repaint, how to put it back."""
