"""Plots: every name of a bar can be read, however many and however long the names are."""

from __future__ import annotations

import base64
import struct

from nemotron_assets.plots import bars


def size(plot) -> tuple[int, int]:
    """Width and height of the PNG in Markdown metadata, in pixels."""
    image = base64.b64decode(plot.value.partition("base64,")[2].removesuffix(")"))
    assert image.startswith(b"\x89PNG\r\n")
    return struct.unpack(">II", image[16:24])


def test_names_that_do_not_fit_below_bars_stand_one_below_the_other():
    few = size(bars({"files": 10, "licence": 7, "rules": 1}, "funnel"))
    assert size(bars({}, "nothing")) == size(bars({"email": 2.5}, "one")) == few
    assert size(bars({f"a rule with a long name {k}": k for k in range(20)}, "reasons"))[1] > 1.2 * few[1]
    assert size(bars({f"a licence {'x' * 300} {k}": k for k in range(5)}, "licences"))[0] == few[0]
    thirty, forty = (size(bars({f"language {k}": 1 for k in range(count)}, "mix")) for count in (30, 40))
    assert thirty == forty, "what is beyond the limit is one bar"
