"""The `nemotron` command: `cli` declares the subcommands and their options, and each has its body in a file of its own.

`nemotron run` is in `run`, `nemotron sql` in `sql`, and so on. The function that does the work is called
`<subcommand>_command`; where a command can fail without an exception, the function returns whether it succeeded. What
several commands share is in `runner` (running assets) and `console` (printing tables). The program begins in
`__main__`, and `signals` says how it ends when it is stopped.
"""
