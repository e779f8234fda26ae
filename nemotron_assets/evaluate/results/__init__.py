"""What model versions answered to every item and how each answer scored; `items` measures, `comparing` compares."""
