"""The card of an exported model (README.md), written from its lineage: front matter for the Hugging Face Hub, then what
the model is, how to load it, what it was trained on, how it was trained, its scores, and the licences of its data."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from nemotron_assets.export.markdown import Markdown, bold, code, plain, table
from nemotron_assets.recipe.release import Release

_MOST_LICENCES = 20  # licences of a table that the card names one by one
_95_PERCENT = 1.96  # standard errors on each side of a score
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}")  # what the Hub accepts as the name of a model or dataset
_TERMS = "https://commoncrawl.org/terms-of-use"
_NVIDIA = (
    "This is a reproduction: Nemotron Lakehouse made it with the methods that NVIDIA published. It is not a model of "
    "NVIDIA, and NVIDIA has neither made nor reviewed it."
)
_LOAD = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
model = AutoModelForCausalLM.from_pretrained("path/to/this/folder", dtype="{dtype}")
inputs = tokenizer("The sum of two and two is", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=20)[0]))
```

```python
from vllm import LLM, SamplingParams

model = LLM("path/to/this/folder", dtype="{dtype}"{options})
print(model.generate("The sum of two and two is", SamplingParams(max_tokens=20))[0].outputs[0].text)
```"""
_HYBRID = (
    "vLLM keeps the states of the Mamba-2 layers in float32 (`mamba_ssm_cache_dtype`). Its prefix cache does nothing "
    "for this model. Give every text a row or request of its own; padding with an attention mask changes nothing. "
    "transformers ignores the boundaries of texts that are packed into one row (`seq_idx`, `cu_seq_lens`, "
    "`position_ids`) without its CUDA kernels, and one text then changes the next."
)


def render(facts: Mapping[str, Any], config: Mapping[str, Any], size: int, release: Release, has_licence: bool) -> str:
    """The text of README.md. `facts` are those of `lineage.describe`, `config` is the model's config.json ({} for a
    model without one), `size` is the number of bytes of its files."""
    head = yaml.safe_dump(
        front_matter(facts, config, release, has_licence), sort_keys=False, allow_unicode=True, width=1_000
    )
    return f"---\n{head}---\n\n" + "\n\n".join(_sections(facts, config, size, release, has_licence)) + "\n"


def front_matter(
    facts: Mapping[str, Any], config: Mapping[str, Any], release: Release, has_licence: bool
) -> dict[str, Any]:
    """What the Hub reads: licence, languages, library, task, data sets, models that it was made from, and scores."""
    model = facts["made"][-1]
    names = {name for data in facts["data"] for name in data.get("languages", {})}
    languages = sorted(name if _LANGUAGE.fullmatch(name) else "code" for name in names)
    matter = {"license": release.licence}
    if release.licence == "other":
        matter["license_name"] = " ".join(release.licence_name.split())
        matter |= {"license_link": "LICENSE.md"} if has_licence else {}
    matter["language"] = sorted(set(languages))
    if "model_type" in config:
        matter |= {"library_name": "transformers", "pipeline_tag": "text-generation"}
    matter["tags"] = [*([config["model_type"]] if "model_type" in config else []), "nemotron-lakehouse"]
    matter["datasets"] = [data["table"] for data in facts["data"]]
    matter["base_model"] = [made["name"] for made in facts["made"][:-1] if _NAME.fullmatch(made["name"])]
    if facts["scores"] and _NAME.fullmatch(model["name"]):
        matter["model-index"] = [{"name": model["name"], "results": list(_results(facts["scores"]))}]
    return {name: value for name, value in matter.items() if value}


def _results(scores: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The scores in the form of the Hub's model index."""
    for score in scores:
        yield {
            "task": {"type": "text-generation"},
            "dataset": {"name": _task(score), "type": score["task"]},
            "metrics": [{"type": score["metric"], "value": score["value"], "name": score["metric"]}],
        }


def _sections(
    facts: Mapping[str, Any], config: Mapping[str, Any], size: int, release: Release, has_licence: bool
) -> Iterator[str]:
    model = facts["made"][-1]
    yield f"# {plain(model['name'])}, version {plain(model['version'])}"
    yield _NVIDIA if "steps" in model else "This model was not trained here: it is a copy, under its own licence."
    yield table(("", ""), [(bold(name), value) for name, value in _shape(model, config, size)])
    if "model_type" in config:
        hybrid = config["model_type"] == "nemotron_h"
        options = ", enable_prefix_caching=False" if hybrid else ""
        yield "## Use\n\n" + _LOAD.format(dtype=config.get("dtype", "auto"), options=options)
        if hybrid:
            yield _HYBRID
    if facts["data"]:
        yield "## Training data\n\n" + _data(facts)
    for made in facts["made"]:
        if "training" in made:
            yield f"## Training of {plain(made['name'])}, version {plain(made['version'])}\n\n" + _training(made)
    if facts["scores"]:
        yield "## Scores\n\n" + _scores(facts["scores"])
    yield "## Lineage\n\n" + _lineage(facts)
    yield "## Licence\n\n" + _licence(facts, release, has_licence)


def _shape(model: Mapping[str, Any], config: Mapping[str, Any], size: int) -> Iterator[tuple[str, Any]]:
    """What the model is, as rows of a table."""
    if "parameters" in model:
        yield "parameters", f"{model['parameters']:,}"
    if "hybrid_override_pattern" in config:
        pattern = config["hybrid_override_pattern"]
        kinds = {"M": "Mamba-2", "*": "attention", "-": "FFN", "E": "mixture of experts"}
        counts = [f"{pattern.count(sign)} {name}" for sign, name in kinds.items() if sign in pattern]
        yield "layers", Markdown(f"{len(pattern)} ({', '.join(counts)}): {code(pattern)}")
    if "hidden_size" in config:
        yield "hidden size, vocabulary", f"{config['hidden_size']:,}, {config['vocab_size']:,}"
    if "max_position_embeddings" in config:
        yield "context", f"{config['max_position_embeddings']:,} tokens"
    if "dtype" in config:
        yield "weights", f"{config['dtype']}, {size / 1e6:,.1f} MB"
    if "precision" in model:
        yield "trained in", model["precision"]
    if model.get("bf16_layers"):
        yield "layers in BF16", Markdown(", ".join(code(name) for name in model["bf16_layers"]))
    if "tokens_seen" in model:
        yield "tokens of its training", f"{model['tokens_seen']:,} in {model['steps']:,} steps, padding included"
        yield "last training loss", f"{model['final_loss']:.4f} nats per token"


def _data(facts: Mapping[str, Any]) -> str:
    """The tables of training data, each at its version."""
    rows = []
    for data in facts["data"]:
        languages, generators = data.get("languages", {}), data.get("generators", {})
        count = f"{data['rows']:,}" if "rows" in data else "-"
        if data.get("counted_version", data["version"]) != data["version"]:
            count += f" (in version {data['counted_version']})"
        made = [f"{name} ({texts:,})" for name, texts in generators.items()]
        made = made if data.get("all_generated") else ["people", *made] if "rows" in data else ["not in this lake"]
        rows.append((code(data["table"]), data["version"], count, len(languages) or "-", ", ".join(made)))
    return (
        "The training sequences were packed from these tables. The model has read as much of each as the tokens below "
        "say.\n\n" + table(("table", "Delta version", "documents", "languages", "written by"), rows)
    )


def _training(made: Mapping[str, Any]) -> str:
    """Time, speed, events, and the tokens of each category in each phase."""
    training = made["training"]
    rows = [
        ("time", f"{_duration(training['seconds'])} of steps, from {training['began']} to {training['ended']}"),
        ("speed", f"{training['tokens_per_second']:,} tokens/s (median)"),
    ]
    if training["devices"]:
        rows.insert(0, ("hardware", ", ".join(training["devices"])))
    if "mfu" in training:
        rows.append(("model FLOPs utilisation", f"{training['mfu']:.1%}"))
    if "peak_memory_bytes" in training:
        rows.append(("peak memory of a process", f"{training['peak_memory_bytes'] / 1e9:,.1f} GB"))
    events = ", ".join(f"{len(steps):,} {kind} (step {_some(steps)})" for kind, steps in training["events"].items())
    rows.append(("batches left out, resumes", events or "none"))
    parts = [table(("", ""), [(bold(name), value) for name, value in rows])]
    if phases := training["phases"]:
        parts.append("Tokens that the model has read, by category and phase, without padding:")
        parts.append(_categories(phases))
        if not all(phase["exact"] for phase in phases):
            parts.append("Numbers in a column with ≈ are interpolated between two measurements, or were planned.")
    return "\n\n".join(parts)


def _some(steps: Sequence[int], most: int = 10) -> str:
    return ", ".join(map(str, steps[:most])) + (", ..." if len(steps) > most else "")


def _categories(phases: Sequence[Mapping[str, Any]]) -> str:
    names = sorted({category for phase in phases for category in phase["tokens"]})
    total = sum(sum(phase["tokens"].values()) for phase in phases)

    def line(title: Any, counts: Sequence[int]) -> tuple[Any, ...]:
        own = sum(counts)
        return title, *(f"{count:,}" for count in counts), f"{own:,}", f"{own / max(total, 1):.1%}"

    heads = [f"{'' if p['exact'] else '≈ '}{p['phase']}, {p['steps']:,} steps" for p in phases]
    rows = [line(code(name), [phase["tokens"].get(name, 0) for phase in phases]) for name in names]
    rows.append(line(bold("all"), [sum(phase["tokens"].values()) for phase in phases]))
    return table(("category", *map(plain, heads), "all", "share"), rows)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours:,} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def _task(score: Mapping[str, Any]) -> str:
    return score["task"] + (f", {score['length']:,} tokens" if score["length"] else "")


def _scores(scores: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for score in scores:
        value, guess, gzip = score["value"], score["random_baseline"], score["gzip_bits_per_byte"]
        interval = _interval(score)
        rows.append(
            (
                code(_task(score)),
                score["metric"],
                f"{value:.3f}",
                f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-",
                "-" if guess is None else f"{guess:.3f}",
                "-" if gzip is None else f"{gzip:.3f}",
                f"{score['samples']:,}",
                score["shots"],
            )
        )
    return (
        "Of bits per byte, less is better; its interval is 1.96 standard errors on each side. Of shares of right "
        "answers it is Wilson's.\n\n"
        + table(("task", "metric", "score", "95% interval", "guessing", "gzip -9", "samples", "shots"), rows)
    )


def _interval(score: Mapping[str, Any]) -> tuple[float, float] | None:
    """The 95% interval of a score. For a share it is Wilson's, which is right for few samples too: 0 of 4 right answers
    are 0 to 0.49."""
    value, error, samples, z = score["value"], score["stderr"], score["samples"], _95_PERCENT
    if score["metric"].startswith("bits"):
        return None if error is None else (value - z * error, value + z * error)
    if not samples or not 0 <= value <= 1:
        return None
    middle, scale = (value + z**2 / (2 * samples)), 1 + z**2 / samples
    half = z * math.sqrt(value * (1 - value) / samples + z**2 / (4 * samples**2))
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


def _lineage(facts: Mapping[str, Any]) -> str:
    """Every model version behind this one, and itself, with what decides it."""
    parts = []
    for made in facts["made"]:
        rows = [
            ("table", f"{made['table']}, version {made['version']} of {made['name']}"),
            ("id", made["id"]),
            ("sha256", made["sha256"]),
            ("made", f"{made['made_at']} by run {made['run_id']}"),
            ("made from models", ", ".join(made["parents"]) or "none"),
            ("made from tables", ", ".join(made["input_versions"]) or "none"),
            ("training data", ", ".join(made.get("source_versions", ())) or "none"),
            ("hash of the recipe", made["recipe_hash"] or "none"),
            ("code", f"{facts['package']}, asset version {made['code_version'] or 'unknown'}"),
        ]
        parts.append(table(("", ""), [(bold(name), value) for name, value in rows]))
    return "\n\n".join(parts)


def _licence(facts: Mapping[str, Any], release: Release, has_licence: bool) -> str:
    """The licence that the recipe names, and the licences of the training data."""
    name = release.licence_name if release.licence == "other" else release.licence
    where = " Its text is in [LICENSE.md](LICENSE.md)." if has_licence else ""
    if "steps" not in facts["made"][-1]:
        return "The makers of the model have chosen its licence. The lake does not record it."
    parts = [f"The recipe names for what it publishes: {plain(name)}.{where} The training data has these licences:"]
    rows = [row for data in facts["data"] for row in _licences_of(data, facts["snapshots"])]
    return "\n\n".join(
        [*parts, table(("table", "made from", "licences, with their share of the rows, or terms"), rows)]
    )


def _licences_of(data: Mapping[str, Any], snapshots: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """The licences of a table of training data: of its rows, else of those that they were written from."""
    for source, counts in data.get("licences", {}).items():
        total = max(sum(counts.values()), 1)
        shares = [f"{licence} {rows / total:.1%}" for licence, rows in Counter(counts).most_common(_MOST_LICENCES)]
        shares += [f"{len(counts) - _MOST_LICENCES} others"] if len(counts) > _MOST_LICENCES else []
        yield code(data["table"]), "its rows" if source == data["table"] else code(source), ", ".join(shares)
    if data.get("web_pages"):
        for source in sorted(set(snapshots.values()) or {"unknown"}):
            yield code(data["table"]), "web pages", Markdown(_web_terms(source))
    for generator in data.get("generators", {}):
        yield code(data["table"]), f"texts by {generator}", "the generator's own licence may bind what it writes"


def _web_terms(source: str) -> str:
    if source == "sample":
        return "the embedded sample: the licences of the packages in its notice"
    if source == "ingest":
        return "files of the team that trained the model: their own terms"
    return f"rights stay with the authors of the pages; [terms of use of Common Crawl]({_TERMS})"
