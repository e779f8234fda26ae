"""The recipe: both built-in recipes load, carry the published values, and mistakes are refused in words that help."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster._utils.schedules import is_valid_cron_string

from nemotron_assets.commands.recipe import recipe_text
from nemotron_assets.recipe import BUILT_IN, Recipe, RecipeError, Section, load_recipe
from nemotron_assets.recipe.categories import CATEGORY_OF, SOURCES, table_of
from nemotron_assets.recipe.load import MOVED
from nemotron_assets.stages import all_tables

PROJECT = Path(__file__).resolve().parent.parent


def refused(tmp_path: Path, text: str) -> str:
    """The message by which a recipe file is refused."""
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        load_recipe(str(path))
    return str(error.value)


def nested(dotted: str, value: object) -> dict:
    """{"train": {"base": value}} for "train.base"."""
    for name in reversed(dotted.split(".")):
        value = {name: value}
    return value


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_recipes_spell_out_every_section(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    # What is printed is a recipe again.
    assert Recipe.model_validate(yaml.safe_load(recipe_text(recipe, None, explain=False))) == recipe


def test_nano2_carries_the_published_values():
    recipe = load_recipe("nano2")
    assert recipe.train.base.tokens == 20 * 10**12
    assert recipe.train.base.tokens * recipe.train.base.warmup_share == pytest.approx(8e9)
    assert recipe.train.base.tokens * (1 - recipe.train.base.decay_share) == pytest.approx(16.4e12)
    assert recipe.train.base.batch_sequences * recipe.blend.sequence_length == 6_029_312
    assert recipe.train.base.peak_lr * recipe.train.base.min_lr_ratio == pytest.approx(4.5e-6)
    assert [recipe.model.pattern.count(layer) for layer in "M*-"] == [28, 6, 28]
    assert recipe.model.hidden_size == 5120 and recipe.model.ffn_size == 4 * 5120
    assert recipe.tokenizer.vocabulary == 2**17
    assert recipe.web.documents.language_min_score == 0.3
    assert (recipe.web.diverse_qa.temperature, recipe.web.diverse_qa.top_p) == (0.5, 0.9)


def test_every_value_and_section_has_a_meaning():
    def meanings(section: type[Section], where: str):
        yield where, section.__doc__
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                yield from meanings(field.annotation, f"{where}{name}.")
            else:
                yield f"{where}{name}", field.description

    assert [name for name, meaning in meanings(Recipe, "") if not meaning] == []


def test_own_recipe_extends_a_built_in_one(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: laptop\nname: mine\ntrain: {base: {peak_lr: 0.001}}\n")
    mine, laptop = load_recipe(str(path)), load_recipe("laptop")
    assert mine.train.base.peak_lr == 0.001
    assert mine.train.base.beta2 == laptop.train.base.beta2
    assert mine.section_hash("train.base") != laptop.section_hash("train.base")
    assert mine.section_hash("model") == laptop.section_hash("model")


def test_recipes_in_the_readme_can_be_used(tmp_path):
    """A recipe begins with a comment that has the name of its file; other blocks of YAML configure Dagster."""
    examples = re.findall(r"```yaml\n(# \w+\.yaml\n.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    assert len(examples) >= 2
    for number, text in enumerate(examples):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert load_recipe(str(path)) != load_recipe("laptop")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: laptop\ntrain: {base: {peak_lr: 3}}", ["train.base.peak_lr = 3", "less than 1"]),
        ("extends: laptop\ntrain: {base: {peek_lr: 3}}", ["train.base.peek_lr: unknown key", "peak_lr"]),
        ("extends: laptop\ntrain.base: {peak_lr: 3}", ["train.base", "write `train: {base: ...}`"]),
        ("extends: laptop\nllm: {engine: magic}", ["llm.engine", "vllm", "openai"]),
        ("extends: laptop\nmodel: {kv_heads: 3}", ["kv_heads 3 does not divide attention_heads"]),
        ("extends: laptop\ntrain: {base: {warmup_share: 0.9}}", ["warmup_share 0.9", "add up to more than 1"]),
        ("extends: laptop\nname: [1", ["not valid YAML"]),
        ("extends: desktop", ["desktop", "laptop", "nano2"]),
        ("name: bare", ["storage", "missing"]),
        ("- 1", ["not a mapping"]),
        ("name: bare\nllm: {}", ["storage, compute", "are missing: begin the file with `extends: laptop`"]),
        ("extends:\nname: bare", ["are missing: begin the file with `extends: laptop`"]),
        ("extend: laptop", ["extend: unknown key; did you mean extends?", "begin the file with `extends: laptop`"]),
        ("extends: laptop\nsnapshots: {crawl: {max_warc_file: 1}}", ["did you mean max_warc_files?"]),
        ("extends: laptop\nllm: {}\nname: a\nllm: {}", ["the key 'llm' stands twice", "line 4"]),
        (
            "extends: laptop\nsnapshots: {crawl: {first: CC-MAIN-2024-51, last: CC-MAIN-2024-10}}",
            ["snapshots.crawl: first CC-MAIN-2024-51 is later than last CC-MAIN-2024-10", "swap them"],
        ),
        ("extends: laptop\nsnapshots: {crawl: {first: 2024-51}}", ["first = '2024-51'", "write CC-MAIN-2024-51"]),
        ("extends: laptop\nsnapshots: {crawl: {last: CC-MAIN-2024-7}}", ["write CC-MAIN-2024-07"]),
        ("extends: laptop\nsnapshots: {crawl: {max_warc_files: 0}}", ["max_warc_files = 0", "allowed: at least 1"]),
        ("extends: laptop\nsnapshots: {crawl: {max_warc_files: yes}}", ["max_warc_files = True: a number is expected"]),
        ("extends: laptop\nsnapshots: {crawl: {max_snapshots: 1.5}}", ["max_snapshots = 1.5", "integer"]),
        ("extends: laptop\nsnapshots: {crawl: {timeout_s: .nan}}", ["timeout_s = nan: Input should be a finite"]),
        ("extends: laptop\nllm: {kv_cache_gb: .inf}", ["kv_cache_gb = inf"]),
        ("extends: laptop\ncode: {sources: {max_ratio: .inf}}", ["max_ratio = inf: Input should be a finite number"]),
        ("extends: laptop\nsnapshots: {crawl: {source: 'ftp://host/x'}}", ["cannot be read by ftp", "http://, "]),
        ('extends: laptop\nsnapshots: {crawl: {user_agent: "a\\r\\nX: b"}}', ["user_agent", "matching"]),
        ("extends: laptop\nsnapshots: {crawl: {schedule: every monday}}", ["schedule = 'every monday'", "'0 3 * * 1'"]),
        ("extends: laptop\nsnapshots: {crawl: {schedule: '0 24 * * *'}}", ["this is not a cron expression"]),
        ("extends: laptop\ncode: {sources: {schedule: '0 3 * *'}}", ["code.sources.schedule = '0 3 * *'"]),
        ("extends: laptop\nllm: {base_url: 'host:80'}", ["llm.base_url = 'host:80'"]),
        ("extends: laptop\nllm: {engine: openai}", ["needs either base_url", "or endpoints"]),
        (
            "extends: laptop\nllm: {engine: openai, base_url: 'http://a/v1', endpoints: [{base_url: 'http://b/v1'}]}",
            ["needs either base_url"],
        ),
        (
            "extends: laptop\nllm: {endpoints: [{base_url: 'http://a', name: x}, {base_url: 'http://b', name: x}]}",
            ["llm.endpoints has 'x' twice"],
        ),
        ("extends: laptop\nllm: {endpoints: [{base_url: 'http://a/v1', name: 'a b'}]}", ["name = 'a b'"]),
    ],
)
def test_mistakes_are_refused_with_what_is_allowed(tmp_path, text, words):
    message = refused(tmp_path, text)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    "text", ["*/15 0-6,22 1 jan-MAR mon", "0 3 * * 1", "59 23 31 12 7", "@weekly", "0 0-23/2 * * 0"]
)
def test_cron_expressions_that_dagster_knows_are_accepted(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(f"extends: laptop\nsnapshots: {{crawl: {{schedule: '{text}'}}}}")
    assert is_valid_cron_string(load_recipe(str(path)).snapshots.crawl.schedule)


def test_a_recipe_may_extend_the_file_beside_it(tmp_path, monkeypatch):
    (tmp_path / "base.yaml").write_text("extends: laptop\nname: base\n")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\n")
    monkeypatch.chdir("/")
    assert load_recipe(str(tmp_path / "own.yaml")).name == "base"


@pytest.mark.parametrize("old", MOVED)
def test_an_old_key_is_refused_with_its_new_name(tmp_path, old):
    message = refused(tmp_path, yaml.safe_dump({"extends": "laptop", **nested(old, 1)}))
    assert f"{old} is now called {MOVED[old]}: write `" in message


def test_old_keys_are_refused_in_a_sentence(tmp_path):
    message = refused(tmp_path, "extends: laptop\npretrain: {peak_lr: 1}\nmath: {candidates: {min_score: 1}}\n")
    assert "pretrain is now called train.base: write `train: {base: ...}`" in message
    assert "math.candidates is now called math.pages.candidates: write `math: {pages: {candidates: ...}}`" in message


def test_the_shots_of_a_benchmark_are_refused_with_the_list_of_tasks(tmp_path):
    message = refused(tmp_path, "extends: laptop\nevaluate: {gsm8k_shots: 1, arc_shots: 1}\n")
    assert "evaluate.gsm8k_shots is now called evaluate.tasks" in message
    assert "write `evaluate: {tasks: [{name: gsm8k, shots: 3}]}`; this list replaces the whole list of tasks" in message
    written = re.findall(r"write `(.+)`", message)
    assert len(written) == 2
    for text in written:
        path = tmp_path / "new.yaml"
        path.write_text(f"extends: laptop\n{text}\n")
        assert len(load_recipe(str(path)).evaluate.tasks) == 1


def test_moved_keys_lead_to_keys_that_exist():
    recipe = load_recipe("laptop")
    for old, new in MOVED.items():
        recipe.section(new)
        with pytest.raises(KeyError):
            recipe.section(old)


def test_recipe_that_extends_itself(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text(f"extends: {path}")
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(str(path))


def test_sections_and_values_are_replaced_in_a_copy():
    laptop, nano2 = load_recipe("laptop"), load_recipe("nano2")
    before = laptop.hash()
    changed = laptop.with_sections(
        {"web.quality.thresholds.version": 7, "train.base": nano2.train.base, "name": "changed"}
    )
    assert (changed.web.quality.thresholds.version, changed.train.base, changed.name) == (
        7,
        nano2.train.base,
        "changed",
    )
    assert changed.web.quality.scorers is laptop.web.quality.scorers
    assert changed.section_hash("train.base") == nano2.section_hash("train.base")
    assert laptop.hash() == before != changed.hash()
    assert laptop.with_sections({}) == laptop
    with pytest.raises(KeyError, match=r"no 'train\.bass'"):
        laptop.with_sections({"train.bass": nano2.train.base})


def test_sections_of_one_parent_are_replaced_together():
    laptop, nano2 = load_recipe("laptop"), load_recipe("nano2")
    changed = laptop.with_sections({"web.dedup": nano2.web.dedup, "web.dedup.memory_mb": 99})
    assert changed.web.dedup == nano2.web.dedup.model_copy(update={"memory_mb": 99})
    assert nano2.web.dedup.memory_mb != 99


@pytest.mark.parametrize("name", SOURCES)
def test_sources_of_the_blend_are_tables_with_these_columns(name):
    table, layout = all_tables().get(name), SOURCES[name]
    if table is None:
        pytest.skip(f"no stage declares {name} yet")
    columns = [layout.text, layout.origin, *filter(None, (layout.subset, layout.snapshot)), *layout.only]
    assert {column: table.column(column).dtype for column in columns} == dict.fromkeys(columns, "string")
    assert (table.partition_by == "snapshot") == (layout.snapshot is not None)
    data_sets = [data_set for data_set in CATEGORY_OF if table_of(data_set) == name]
    assert data_sets and all(("/" in data_set) == (layout.subset is not None) for data_set in data_sets)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blend: {weights: {web.multilingual: 1.0}}", ["blend.weights", "replaced by blend.phases", "max_epochs"]),
        ("blend: {sequences_per_shard: 256}", ["blend.sequences_per_shard was replaced by blend.tokens_per_shard"]),
        ("blend: {phases: {phase-1: {weights: {maths: 1}}}}", ["'maths' is not a category of the blend", "math"]),
        ("blend: {phases: {phase-1: {share: 0.7}}}", ["phase-1, phase-2, phase-3 add up to 1.1 instead of 1"]),
        ("blend: {phases: {phase-4: {share: 0.1, basis: mine, weights: {math: 0}}}}", ["weights of a phase are all 0"]),
        ("blend: {max_epochs_of: {wikipedia: 2}}", ["'wikipedia' is not a category"]),
    ],
)
def test_a_blend_that_cannot_be_is_refused(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: laptop\nname: mine\n{text}\n")
    with pytest.raises(RecipeError) as error:
        load_recipe(str(path))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_the_weight_of_one_category_can_be_changed(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: laptop\nname: mine\nblend: {phases: {phase-1: {weights: {math: 10}}}}\n")
    mine, laptop = load_recipe(str(path)).blend, load_recipe("laptop").blend
    assert mine.phases["phase-1"].weights == {**laptop.phases["phase-1"].weights, "math": 10}
    assert list(mine.phases) == list(laptop.phases) and mine.phases["phase-2"] == laptop.phases["phase-2"]


def test_explained_recipe_says_meanings_and_ranges():
    text = recipe_text(load_recipe("laptop"), "train", explain=True)
    assert "# pretraining of models.base\nbase:\n" in text
    assert (
        "  peak_lr: 0.005  # highest learning rate: after the warm-up, until the decay (more than 0, less than 1, "
        in text
    )
    rule = recipe_text(load_recipe("laptop"), "web.heuristics.rules", explain=True)
    assert "# share of the characters that are digits (published: at most 0.15)\ndigit_share:\n" in rule
    with pytest.raises(KeyError, match=r"no 'train\.base\.foo'"):
        load_recipe("laptop").section("train.base.foo")


def test_the_recipe_imports_nothing_of_the_project_but_itself():
    """Worker processes, libraries and resources read the recipe: it must not bring stages or heavy packages with it."""
    code = "import sys, nemotron_assets.recipe; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.split(".")[0] in ("nemotron_assets", "resources", "dagster")}
    assert {name for name in loaded if not name.startswith("nemotron_assets.recipe")} == {"nemotron_assets"}
