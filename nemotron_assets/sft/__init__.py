"""Nemotron-Pretraining-SFT: questions with answers, instructions and reasoning, each with the status of its answer.

Its rooms make tables of one kind of data each; `release` unites them into the published configs. The modules beside the
rooms are shared: the columns of every table, what a status means, and the published text formats.
"""
