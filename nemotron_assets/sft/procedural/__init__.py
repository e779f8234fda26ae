"""Questions that programs make and check (reasoning-gym), for models of any size. Not part of a published set."""
