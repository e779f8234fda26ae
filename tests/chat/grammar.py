"""Whether xgrammar accepts a text under a structural tag."""

from functools import cache

import xgrammar


@cache
def _compiler() -> xgrammar.GrammarCompiler:
    return xgrammar.GrammarCompiler(
        xgrammar.TokenizerInfo([chr(k) for k in range(32, 127)] + ["<end>"], stop_token_ids=[95])
    )


def accepts(tag: str, text: str) -> bool:
    """Whether the whole text, and no part of it only, is a sentence of the grammar."""
    matcher = xgrammar.GrammarMatcher(_compiler().compile_structural_tag(tag))
    return matcher.accept_string(text) and matcher.accept_token(95)
