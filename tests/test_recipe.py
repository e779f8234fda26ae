"""The recipe: both built-in ones load, say what they should, and refuse what is wrong in words that help."""

import pytest
import yaml

from nemotron_assets.commands.recipe import recipe_text
from nemotron_assets.recipe import BUILT_IN, Recipe, RecipeError, Section, load_recipe


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


def test_every_value_has_a_meaning():
    def fields(section: type[Section], where: str):
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                yield from fields(field.annotation, f"{where}{name}.")
            else:
                yield f"{where}{name}", field.description

    assert [name for name, meaning in fields(Recipe, "") if not meaning] == []


def test_own_recipe_extends_a_built_in_one(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: laptop\nname: mine\ntrain: {base: {peak_lr: 0.001}}\n")
    mine, laptop = load_recipe(str(path)), load_recipe("laptop")
    assert mine.train.base.peak_lr == 0.001
    assert mine.train.base.beta2 == laptop.train.base.beta2
    assert mine.section_hash("train.base") != laptop.section_hash("train.base")
    assert mine.section_hash("model") == laptop.section_hash("model")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: laptop\ntrain: {base: {peak_lr: 3}}", ["train.base.peak_lr = 3", "less than 1"]),
        ("extends: laptop\ntrain: {base: {peek_lr: 3}}", ["train.base.peek_lr: unknown key", "peak_lr"]),
        ("extends: laptop\nllm: {engine: magic}", ["llm.engine", "vllm", "openai"]),
        ("extends: laptop\nmodel: {kv_heads: 3}", ["kv_heads 3 does not divide attention_heads"]),
        ("extends: laptop\ntrain: {base: {warmup_share: 0.9}}", ["add up to more than 1"]),
        ("extends: laptop\nname: [1", ["not valid YAML"]),
        ("extends: desktop", ["desktop", "laptop", "nano2"]),
        ("name: bare", ["storage", "missing"]),
        ("- 1", ["not a mapping"]),
    ],
)
def test_mistakes_are_refused_with_what_is_allowed(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        load_recipe(str(path))
    for word in words:
        assert word in str(error.value)


def test_recipe_that_extends_itself(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text(f"extends: {path}")
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(str(path))


def test_explained_recipe_names_ranges():
    text = recipe_text(load_recipe("laptop"), "train.base", explain=True)
    assert "peak_lr: 0.002  # learning rate of the stable part (more than 0, less than 1, number)" in text
    with pytest.raises(KeyError, match=r"no 'train\.base\.foo'"):
        load_recipe("laptop").section("train.base.foo")
