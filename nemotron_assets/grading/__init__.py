"""Decides whether an answer is right, by programs alone. A grader that fails is an error and never a wrong answer."""
