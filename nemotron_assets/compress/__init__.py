"""Compresses models to a byte budget (Nemotron Nano 2 report §4).

- `budget` says what a device leaves for a model, and what each model takes.
- `importance` measures which layers, channels, neurons and heads matter.
- `search` enumerates the candidates, tries the best, and picks one.
"""

#: Raised when the code of the stage changes what it gives.
CODE = "1"
