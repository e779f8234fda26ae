"""The compressed models: pruned to the chosen shape, distilled in stages, and trained further as the report says.

- `steps` plans and runs one distillation, `chain` all steps of a model in their order.
- `pruned` makes the model that a distillation starts from.
"""

#: Raised when the code of a step changes what model it makes.
CODE = "2"
