"""Questions that programs make and check: tasks of reasoning-gym at three difficulties, split into train and test."""
