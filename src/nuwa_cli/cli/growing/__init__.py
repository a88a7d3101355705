"""Pictures and clips that grow: amounts, one job from its first step to its file, stopping between steps."""
