"""Shared by the tests of academic questions: documents about rods of metal, and what a good model says about them."""

from __future__ import annotations

import re

from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.ids import content_hash

METALS = ("iron", "copper", "silver", "gold", "zinc", "lead")
CHOICE = """\
Question: Which property of {metal} decides how fast a rod of it warms up at the far end?
Answer: its thermal conductivity
Wrong: its colour in daylight
Wrong: the price of one kilogram
Wrong: the name of its discoverer
Justification: Heat moves along the rod by conduction, so the conductivity of {metal} sets the pace."""
FREE = """\
Question: Why does a rod of {metal} warm up at the far end after one end is heated?
Answer: Its atoms pass their motion on to their neighbours.
Justification: Conduction carries energy from the hot end of the {metal} rod to the cold end."""
PAIR = """\
Question: How long did the {metal} rod number 7 take to warm up?
Answer: It took 21 seconds."""


def text_of(metal: str, lines: int = 12) -> str:
    return "\n".join(
        f"In experiment {k} a rod of {metal} was heated at one end, and the other end was warm after {3 * k} seconds, "
        "because heat moves through a solid from atom to atom without any motion of the solid itself."
        for k in range(lines)
    )


def document(metal: str, lines: int = 12) -> dict:
    text = text_of(metal, lines)
    return {
        "id": f"page {metal}", "parents": ["u"], "snapshot": "S1", "url": f"http://h.example/{metal}", "language": "en",
        "level": "high", "bucket": 19, "text": text, "characters": len(text), "content_hash": content_hash(text),
    }  # fmt: skip


def good(body: dict) -> str:
    """What a good model says. It sorts texts about lead as history."""
    asked = body["messages"][-1]["content"]
    metal = re.search(rf"rod of ({'|'.join(METALS)})", asked)[1]
    if "sort it" in asked:
        return f"Subject: {'other' if metal == 'lead' else 'physics'}\nLevel: undergraduate\nQuality: 4"
    if "multiple-choice" in asked:
        return CHOICE.format(metal=metal)
    if "answered freely" in asked:
        return FREE.format(metal=metal)
    if "piece of a long document" in asked:
        return PAIR.format(metal=metal)
    if "Yes or No" in asked:
        return "No" if metal == "zinc" else "Yes"
    return "Answer: " + re.search(r"^([A-D])\. its thermal", asked, re.M)[1]


def recipe_with(**changes):
    """The laptop's recipe with limits that fit these documents, and `changes` of the questions about passages."""
    recipe = load_recipe("laptop")
    section = recipe.sft.academic
    sources = {n: limits.model_copy(update={"max_documents": 10}) for n, limits in section.documents.sources.items()}
    documents = section.documents.model_copy(update={"min_quality": 3.0, "sources": sources})
    qa = section.qa.model_copy(update={"max_documents": None, "max_line": 400, **changes})
    longdoc = section.longdoc.model_copy(
        update={"min_document_tokens": 256, "max_document_tokens": 400, "chunk_share": 0.5, "max_documents": None,
                "max_line": 400}
    )  # fmt: skip
    updates = {"documents": documents, "qa": qa, "longdoc": longdoc}
    return recipe.with_sections({"sft.academic": section.model_copy(update=updates)})
