"""Decides whether an answer is right, by programs alone. A grader that fails is an error and never a wrong answer.

    from nemotron_assets.grading import maths

    with maths.grader(recipe.grading) as grader:
        for verdict in grader.grade([("The answer is \\boxed{0.5}.", "1/2")]):
            print(verdict.outcome, verdict.by, verdict.detail)

`maths` compares mathematical answers, `code.CodeGrader` runs programs against tests, and
`procedural.ProceduralGrader` makes and scores items of reasoning-gym, `instructions` checks the form of an answer, and
`rewards.Rewards` turns the verdicts of the verifiers that a prompt names into a reward.
"""
