"""The storybook world: captioned, segmented scenes as pure functions of a seed."""
