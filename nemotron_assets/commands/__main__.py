"""The entry point of `nemotron`, or `python -m nemotron_assets.commands`: answers signals, then loads the commands."""

from nemotron_assets.commands.signals import handle


def main() -> None:
    """Run the command that `sys.argv` names."""
    handle()
    from nemotron_assets.commands.cli import main as run_command

    run_command()


if __name__ == "__main__":
    main()
