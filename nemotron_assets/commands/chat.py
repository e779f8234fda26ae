"""`nemotron chat`: a talk with a model of the lake, or with a server that runs already."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import click

from nemotron_assets.chat.serving import Limits
from nemotron_assets.chat.session import Display, Talk
from nemotron_assets.recipe.addresses import redacted
from resources.server import LOOPBACK, Place

_KEY = "none"  # the client library wants a key, and a server without keys ignores it


def chat_command(
    model: str | None,
    url: str | None,
    limits: Limits,
    key: str | None,
    says: tuple[str, ...],
    temperature: float | None,
    max_tokens: int | None,
) -> None:
    """Talk in the terminal, or answer the messages `says`, or what comes through a pipe as one message."""
    shown = sys.stdout.isatty()
    display = Display(sys.stdout, sys.stdout if shown else sys.stderr, dim=shown)
    with _client(model, url, limits, key) as (client, name):
        more = {"thinking_grace": limits.grace, "answer_room": limits.answer_room}
        talk = Talk(client, name, display, limits.tokens, more, temperature=temperature, max_tokens=max_tokens)
        if says or not sys.stdin.isatty():
            for text in says or (sys.stdin.read(),):
                talk.say(text)
        else:
            _talk(talk, display, name)


@contextlib.contextmanager
def _client(model: str | None, url: str | None, limits: Limits, key: str | None) -> Iterator[tuple]:
    """(a client, the name of the model) of the server at `url`, or of one that is started for this talk."""
    import openai

    with contextlib.ExitStack() as stack:
        if url is None:
            if model is None:
                raise click.UsageError("name a MODEL of the lake, or --url of a server that runs")
            from nemotron_assets.commands.serve import (
                model_server,  # loads the graph, which a talk with a URL needs not
            )

            place = Place(api_key=key)
            log = lambda line: click.echo(line, err=True)  # noqa: E731 - standard output is for answers
            server = stack.enter_context(model_server(model, place, limits, None, log))
            url, model = server.url, server.names[0]
        local = urlsplit(url).hostname in LOOPBACK
        http = stack.enter_context(openai.DefaultHttpxClient(trust_env=not local))
        client = openai.OpenAI(base_url=url, api_key=key or _KEY, max_retries=0, http_client=http)
        try:
            yield client, model or client.models.list().data[0].id
        except openai.APITimeoutError as error:
            raise click.ClickException(f"the server at {redacted(url)} did not answer in time ({error})") from error
        except openai.APIConnectionError as error:
            raise click.ClickException(
                f"no server answers at {redacted(url)} ({error}): start one with `nemotron serve MODEL`, or name "
                "another with --url"
            ) from error


def _talk(talk: Talk, display: Display, name: str) -> None:
    """Read messages from the terminal until it ends."""
    import readline  # noqa: F401 - gives `input` a history and editing

    import openai

    display.note(f"{name}  (/help lists commands, Ctrl-D ends)")
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            display.note("")
            return
        if line in ("/exit", "/quit"):
            return
        if not line:
            continue
        if (told := talk.command(line)) is not None:
            display.note(told)
            continue
        try:
            talk.say(line)
        except KeyboardInterrupt:
            display.note("stopped")
        except openai.OpenAIError as error:
            display.note(str(error))
