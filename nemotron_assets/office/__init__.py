"""A small office with a calendar, mail, files and customers, and tools that change it: what tool calling is learned in.

In the manner of WorkBench: a task is solved if the office is in the same state as after the reference calls. Everything
is deterministic and lives in memory; arguments of a model are checked against JSON schemas and never evaluated.

`office` makes the state, `tools` are what can be called, `tasks` are requests with reference calls, `trajectories`
turns a task into a conversation, and `verifying` judges calls. A library, without assets.
"""
