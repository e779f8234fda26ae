"""Science questions: seeds, questions expanded from them, their answers, and multiple-choice forms of them."""
